"use strict";

(() => {
  // What the page was made with; see dialogpt/humaneval/pages.py.
  const data = JSON.parse(document.getElementById("data").textContent);
  const { study, judge, kind, aspects, options, items } = data;
  const {
    kept, storageKey, load, keep, merge, restored, answerOf, change, addTime, missing, isDone,
    firstOpen, exported, isUnsaved, noteSaved,
  } = answersOf(data);
  const $ = (id) => document.getElementById(id);

  let view = "start";
  let current = 0; // number of the aspect that number keys answer; -1: none, all are answered
  let shownSince = null; // when the clock of the item in sight began to run

  // ---- What is noted

  function store() {
    const isNews = keep();
    $("storage-warning").hidden = kept.isStored;
    if (isNews) showNews();
  }

  function countTime() {
    if (shownSince !== null) {
      addTime(items[kept.position], (performance.now() - shownSince) / 1000);
    }
    shownSince = view === "item" && document.visibilityState === "visible" ? performance.now() : null;
  }

  // ---- What is shown

  // All texts go through here, as text.
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function textOf(text) {
    if (!text) return make("p", { class: "text nothing" }, "(no text)");
    return make("p", { class: "text", dir: "auto" }, text);
  }

  // Numbers, because letters name replies.
  function speakerOf({ turns, speakers }, place) {
    if (speakers.length === 0 || turns.length === 1) return [];
    return [make("span", { class: "speaker" }, `Person ${speakers[place] + 1}`), " "];
  }

  function say(text) {
    $("message").textContent = text;
  }

  function showProgress() {
    const done = items.filter(isDone).length;
    $("progress").max = items.length;
    $("progress").value = done;
    const rest = make("span", { class: "inner" }, " answered");
    $("count").replaceChildren(`${done} of ${items.length}`, rest);
  }

  function show(wanted) {
    countTime();
    view = wanted;
    for (const name of ["start", "item", "save"]) $(name).hidden = name !== view;
    $("foot").hidden = view !== "item";
    countTime();
    say("");
    showProgress();
    window.scrollTo(0, 0);
  }

  function focusHeading() {
    $(`${view}-heading`).focus({ preventScroll: true });
  }

  function renderItem(number) {
    countTime();
    shownSince = null;
    kept.position = Math.max(0, Math.min(number, items.length - 1));
    const item = items[kept.position];
    show("item");
    $("item-heading").textContent = `Item ${kept.position + 1} of ${items.length}`;
    $("turns").replaceChildren(...item.turns.map((turn, place) => make("li", {}, ...speakerOf(item, place), textOf(turn))));
    const isPair = item.replies.length > 1;
    $("replies").className = isPair ? "two" : "";
    $("replies").replaceChildren(
      ...item.replies.map((reply, place) => {
        const heading = make("h2", { id: `reply-${place}` }, isPair ? `Reply ${"AB"[place]}` : "Reply");
        const box = make("div", { class: "text-box" }, textOf(reply));
        return make("article", { class: "reply", "aria-labelledby": `reply-${place}` }, heading, box);
      }),
    );
    // Only what scrolls by itself is a stop of the Tab key.
    for (const box of document.querySelectorAll(".text-box")) {
      if (box.scrollHeight > box.clientHeight) box.setAttribute("tabindex", "0");
      else box.removeAttribute("tabindex");
    }
    const { values, comment } = answerOf(item);
    for (const radio of $("questions").querySelectorAll("input")) {
      radio.checked = values[radio.name] === Number(radio.value);
    }
    $("comment").value = comment;
    $("comment-box").open = comment !== "";
    $("back").disabled = kept.position === 0;
    $("jump").value = kept.position + 1;
    $("jump").max = Math.min(firstOpen() + 1, items.length);
    const open = aspects.findIndex(({ name }) => !(name in values));
    mark(open < 0 ? 0 : open);
    focusHeading();
  }

  // Another tab has answered something.
  function showNews() {
    if (view === "item") renderItem(kept.position);
    else showProgress();
  }

  function showItem(number) {
    renderItem(number);
    store();
  }

  function showSave() {
    show("save");
    const done = items.filter(isDone).length;
    const all = done === items.length;
    $("save-heading").textContent = all ? "All items are answered" : "Save what you have so far";
    $("save-text").textContent = all
      ? "Thank you. Download the file with your answers; you can still go back and change them."
      : `${done} of ${items.length} items are answered. You can go on afterwards, and save again.`;
    $("resume").textContent = all ? "Back to the items" : "Go on";
    $("by-hand").hidden = true;
    focusHeading();
    store();
  }

  function mark(aspect) {
    current = aspect;
    [...$("questions").children].forEach((group, number) =>
      group.classList.toggle("current", number === aspect),
    );
  }

  function buildQuestions() {
    $("questions").className = kind;
    const groups = aspects.map(({ name, label, question }, number) => {
      const legend = make("legend", {}, make("b", {}, label), " ", make("span", {}, question));
      const choices = options.map((option, place) => {
        const radio = make("input", { type: "radio", name, value: String(place) });
        const inner = place > 0 && place < options.length - 1 && options.length > 3;
        const face = make("span", { class: "face" });
        if (option.value === Number(option.key)) {
          const about = make("small", inner ? { class: "inner" } : {}, option.label);
          face.append(make("span", {}, option.key), about);
          radio.setAttribute("aria-label", `${option.key}, ${option.label}`);
        } else {
          face.append(option.label, make("kbd", { "aria-hidden": "true" }, option.key));
          radio.setAttribute("aria-label", option.label);
        }
        radio.addEventListener("change", () => choose(number, place));
        return make("label", {}, radio, face);
      });
      const group = make("fieldset", {}, legend, make("div", { class: "options" }, ...choices));
      group.addEventListener("focusin", () => mark(number));
      return group;
    });
    $("questions").replaceChildren(...groups);
  }

  // ---- What judges do

  function choose(aspect, place) {
    const item = items[kept.position];
    change(item, { values: { ...answerOf(item).values, [aspects[aspect].name]: place } });
    if (!kept.started) kept.started = new Date().toISOString();
    say("");
    showProgress();
    store();
  }

  // The keyboard goes on to what is open, and to Next once nothing is.
  function chooseByKey(place) {
    if (current < 0) {
      say("All questions are answered. Click one, or go to it by Tab, to change its answer.");
      return;
    }
    const radio = $("questions").children[current].querySelectorAll("input")[place];
    radio.checked = true;
    choose(current, place);
    const open = missing(items[kept.position]).map((aspect) => aspects.indexOf(aspect));
    const following = open.find((number) => number > current) ?? open[0];
    if (following === undefined) {
      $("next").focus();
      mark(-1); // or one digit too many would change the last answer
    } else {
      focusAspect(following);
    }
  }

  function focusAspect(number) {
    mark(number);
    const radios = [...$("questions").children[number].querySelectorAll("input")];
    (radios.find((radio) => radio.checked) ?? radios[0]).focus();
  }

  function next() {
    const open = missing(items[kept.position]);
    if (open.length > 0) {
      focusAspect(aspects.indexOf(open[0]));
      say(`Please answer first: ${open.map(({ label }) => label).join(", ")}.`);
    } else if (kept.position + 1 < items.length) {
      showItem(kept.position + 1);
    } else if (firstOpen() < items.length) {
      showItem(firstOpen());
    } else {
      showSave();
    }
  }

  function back() {
    if (kept.position > 0) showItem(kept.position - 1);
  }

  function jump() {
    const wanted = Number($("jump").value);
    const furthest = Math.min(firstOpen() + 1, items.length);
    if (Number.isInteger(wanted) && wanted >= 1 && wanted <= furthest) {
      showItem(wanted - 1);
    } else {
      $("jump").value = kept.position + 1;
      say(`Items 1 to ${furthest} can be opened.`);
    }
  }

  function begin() {
    if (!kept.started) kept.started = new Date().toISOString();
    showItem(kept.position);
  }

  function download() {
    countTime();
    store(); // with what other tabs have
    const url = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
    const link = make("a", { href: url, download: `${study}-${judge}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    noteSaved();
    store();
    $("save-text").textContent = `The file is called ${study}-${judge}.json and is where this browser puts downloads.`;
  }

  async function copy() {
    countTime();
    store();
    const text = exported();
    let isCopied = false;
    try {
      await navigator.clipboard.writeText(text);
      isCopied = true;
    } catch {
      $("by-hand").hidden = false;
      $("answers-text").value = text;
      $("answers-text").select();
      isCopied = document.execCommand("copy");
    }
    if (isCopied) {
      noteSaved();
      store();
    }
    $("save-text").textContent = isCopied
      ? "Your answers are copied; paste them into a message."
      : "This browser does not let the page copy. Select the text below and copy it by hand.";
  }

  function onKey(event) {
    if (event.isComposing || event.altKey || event.metaKey) return;
    const { key, target } = event;
    const isEnter = key === "Enter" && !event.repeat;
    if (view === "item" && target === $("comment")) {
      if (isEnter && event.ctrlKey) next();
      else if (key === "Escape") focusHeading();
      return;
    }
    if (event.ctrlKey) return;
    if (target === $("jump")) {
      if (isEnter) jump();
      return;
    }
    const isNative = target instanceof HTMLElement && target.closest("button, summary, textarea, a");
    const isRadio = target instanceof HTMLInputElement && target.type === "radio";
    if (view === "start" && isEnter && !isNative) begin();
    else if (view === "save" && key === "Backspace" && target !== $("answers-text")) showItem(kept.position);
    else if (view !== "item") return;
    else if (key === "Backspace" || (key === "ArrowLeft" && !isRadio)) back();
    else if ((isEnter && !isNative) || (key === "ArrowRight" && !isRadio && !event.repeat)) next();
    else {
      const place = options.findIndex((option) => option.key === key);
      if (place < 0 || event.repeat) return;
      chooseByKey(place);
    }
    event.preventDefault();
  }

  // ---- The beginning

  load();
  buildQuestions();
  $("storage-warning").hidden = kept.isStored;
  $("jump-of").textContent = `of ${items.length}`;
  $("begin").addEventListener("click", begin);
  $("next").addEventListener("click", next);
  $("back").addEventListener("click", back);
  $("jump").addEventListener("change", jump);
  $("download").addEventListener("click", download);
  $("copy").addEventListener("click", copy);
  $("resume").addEventListener("click", () => showItem(firstOpen()));
  $("to-save").addEventListener("click", showSave);
  $("to-start").addEventListener("click", () => {
    $("begin").textContent = kept.started ? "Go on" : "Begin";
    show("start");
    focusHeading();
  });
  $("comment").addEventListener("input", () => {
    change(items[kept.position], { comment: $("comment").value });
    store();
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => {
    countTime();
    store();
  });
  window.addEventListener("pagehide", () => {
    countTime();
    store();
    shownSince = null; // the browser may keep the page, and its clock runs on
  });
  // Back from where the browser keeps pages: what other tabs have told meanwhile was not heard.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    countTime();
    store();
  });
  // The same page in another tab: what was answered there counts here too. Nothing is stored, or
  // two tabs would answer one another for ever.
  window.addEventListener("storage", (event) => {
    if (event.key === storageKey && merge(restored(event.newValue))) showNews();
  });
  window.addEventListener("beforeunload", (event) => {
    // Also where the browser keeps them: a private window forgets them when it is closed, and no
    // page can tell that it is in one.
    if (!isUnsaved()) return;
    event.preventDefault();
    event.returnValue = true; // what older browsers go by
  });

  if (kept.started) {
    if (firstOpen() === items.length) showSave();
    else showItem(kept.position);
  } else {
    show("start");
    focusHeading();
  }
})();
