// JSON values for people: indented, coloured while that is cheap, and to be copied.

import { h } from "../dom.js";
import { notice } from "./notice.js";
import { problem } from "./problem.js";

const COLOURED = 30_000;
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function jsonView(value, label) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  const shown = h("pre", { tabindex: "0", role: "region", "aria-label": label });
  shown.append(...(text.length > COLOURED ? [text] : coloured(text)));
  return h("div", { class: "json" }, shown, copyButton(text, label));
}

export function plainView(text, label) {
  return h("div", { class: "json" }, h("pre", { tabindex: "0", role: "region", "aria-label": label }, text), copyButton(text, label));
}

/** In the place of what was left out: a button, and then what `load` gives. */
export function later(label, load) {
  const place = h("div", {}, h("button", { type: "button", on: { click: show } }, `Show ${label.toLowerCase()}`));
  async function show() {
    try {
      place.replaceChildren(await load());
    } catch (error) {
      place.replaceChildren(problem(error, { again: show }));
    }
  }
  return place;
}

function* coloured(text) {
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) yield text.slice(end, match.index);
    const [whole, string, colon] = match;
    yield h("span", { class: string ? (colon ? "key-of" : "text") : "other" }, string ?? whole);
    if (colon) yield colon;
    end = match.index + whole.length;
  }
  yield text.slice(end);
}

function copyButton(text, label) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    notice(`${label}: copied`);
  };
  return h("button", { type: "button", class: "small", "aria-label": `Copy: ${label}`, on: { click: copy } }, "Copy");
}
