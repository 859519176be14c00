"use strict";

// What a judge has answered, kept in the browser between visits, and the file that is made of it.
function answersOf(data) {
  const { study, judge, kind, aspects, options, items } = data;
  const numbers = new Map(items.map((item, number) => [item.id, number]));
  const storageKey = `dialogpt-humaneval/${study}/${judge}`;
  // started: ISO time; position: number of the item in sight; answers: item id -> {values, seconds,
  // comment}, values: aspect -> number of the option; unsaved: whether answers are in no file yet;
  // isStored: whether the browser keeps it all.
  const kept = { started: "", position: 0, answers: {}, unsaved: false, isStored: true };

  function isRecord(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
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
      const seconds = Number.isFinite(answer.seconds) && answer.seconds > 0 ? answer.seconds : 0;
      answers[id] = { values, seconds, comment: String(answer.comment ?? "") };
    }
    const started = typeof found.started === "string" ? found.started : "";
    const position = Number.isInteger(found.position) ? found.position : 0;
    return { started, position, answers, unsaved: found.unsaved === true };
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

  function keep() {
    const { started, position, answers, unsaved } = kept;
    try {
      localStorage.setItem(storageKey, JSON.stringify({ started, position, answers, unsaved }));
      kept.isStored = true;
    } catch {
      kept.isStored = false;
    }
  }

  function answerOf(item) {
    return kept.answers[item.id] ?? { values: {}, seconds: 0, comment: "" };
  }

  function change(item, changes) {
    kept.answers[item.id] = { ...answerOf(item), ...changes };
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
    kept, storageKey, load, keep, restored, answerOf, change, missing, isDone, firstOpen, exported,
  };
}
