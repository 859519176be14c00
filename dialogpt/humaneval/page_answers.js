"use strict";

// What a judge has answered, kept in the browser between visits, and the file that is made of it.
function answersOf(data) {
  const { study, judge, kind, aspects, options, items } = data;
  const numbers = new Map(items.map((item, number) => [item.id, number]));
  const storageKey = `dialogpt-humaneval/${study}/${judge}`;
  // started: ISO time; position: number of the item in sight; answers: item id -> {values, seconds,
  // comment, changed}, values: aspect -> number of the option, changed: when values or comment were
  // last given, in milliseconds; saved: when a file was made of them; isStored: whether the browser
  // keeps it all.
  const kept = { started: "", position: 0, answers: {}, saved: 0, isStored: true };
  const nothing = { values: {}, seconds: 0, comment: "", changed: 0 };

  function isRecord(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
  }

  function amount(value) {
    return Number.isFinite(value) && value > 0 ? value : 0;
  }

  // Another page, or a person, may have written there: what does not belong there is left out.
  function restored(text) {
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      return null;
    }
    if (!isRecord(found) || !isRecord(found.answers)) return null;
    const answers = {};
    for (const [id, answer] of Object.entries(found.answers)) {
      if (!numbers.has(id) || !isRecord(answer) || !isRecord(answer.values)) continue;
      const values = {};
      for (const { name } of aspects) {
        const value = answer.values[name];
        if (Number.isInteger(value) && value >= 0 && value < options.length) values[name] = value;
      }
      const [seconds, changed] = [amount(answer.seconds), amount(answer.changed)];
      answers[id] = { values, seconds, comment: String(answer.comment ?? ""), changed };
    }
    const started = typeof found.started === "string" ? found.started : "";
    const position = Number.isInteger(found.position) ? found.position : 0;
    return { started, position, answers, saved: amount(found.saved) };
  }

  function load() {
    try {
      const probe = `${storageKey}/probe`;
      localStorage.setItem(probe, "1");
      localStorage.removeItem(probe);
      Object.assign(kept, restored(localStorage.getItem(storageKey)));
    } catch {
      kept.isStored = false;
    }
  }

  // Takes over what another tab has answered later, item by item; whether that is anything to show.
  function merge(found) {
    if (!found) return false;
    let isNews = false;
    for (const [id, other] of Object.entries(found.answers)) {
      const own = kept.answers[id] ?? nothing;
      const isLater = other.changed > own.changed;
      const answer = isLater || !(id in kept.answers) ? other : own;
      kept.answers[id] = { ...answer, seconds: Math.max(own.seconds, other.seconds) };
      isNews ||= isLater;
    }
    kept.saved = Math.max(kept.saved, found.saved);
    kept.started = [kept.started, found.started].filter(Boolean).sort()[0] ?? "";
    return isNews;
  }

  // A tab that slept (the browser keeps pages to go back to) has missed what others have told.
  function catchUp() {
    try {
      return merge(restored(localStorage.getItem(storageKey)));
    } catch {
      return false;
    }
  }

  // Never without what is there: another tab may have written it.
  function keep() {
    const isNews = catchUp();
    const { started, position, answers, saved } = kept;
    try {
      localStorage.setItem(storageKey, JSON.stringify({ started, position, answers, saved }));
      kept.isStored = true;
    } catch {
      kept.isStored = false;
    }
    return isNews;
  }

  function answerOf(item) {
    return kept.answers[item.id] ?? nothing;
  }

  function change(item, changes) {
    // Later than before and than the last file, also if the clock was put back.
    const changed = Math.max(Date.now(), answerOf(item).changed + 1, kept.saved + 1);
    kept.answers[item.id] = { ...answerOf(item), ...changes, changed };
  }

  function lastChange() {
    return Math.max(0, ...Object.values(kept.answers).map(({ changed }) => changed));
  }

  // Whether answers are in no file yet.
  function isUnsaved() {
    return lastChange() > kept.saved;
  }

  function noteSaved() {
    kept.saved = Math.max(Date.now(), lastChange());
  }

  function addTime(item, seconds) {
    const answer = answerOf(item);
    kept.answers[item.id] = { ...answer, seconds: answer.seconds + seconds };
  }

  function missing(item) {
    const { values } = answerOf(item);
    return aspects.filter(({ name }) => !(name in values));
  }

  function isDone(item) {
    return missing(item).length === 0;
  }

  // The item that is next to be answered; the number of items if all are.
  function firstOpen() {
    const found = items.findIndex((item) => !isDone(item));
    return found < 0 ? items.length : found;
  }

  function exported() {
    const answers = [];
    for (const item of items) {
      const { values, seconds, comment } = answerOf(item);
      if (Object.keys(values).length === 0 && comment === "") continue;
      const named = {};
      for (const { name } of aspects) {
        if (name in values) named[name] = options[values[name]].value;
      }
      answers.push({ item: item.id, values: named, seconds: Math.round(seconds * 10) / 10, comment });
    }
    const file = {
      format: "dialogpt-humaneval-answers",
      version: 1,
      study,
      judge,
      kind,
      started: kept.started || new Date().toISOString(),
      exported: new Date().toISOString(),
      complete: items.every(isDone),
      answers,
    };
    return JSON.stringify(file, null, 1) + "\n";
  }

  return {
    kept, storageKey, load, keep, merge, restored, answerOf, change, addTime, missing, isDone,
    firstOpen, exported, isUnsaved, noteSaved,
  };
}
