// A line at the edge of the page about what was just done.

import { h } from "../dom.js";

const SHOWN = 6000;

export function notice(...content) {
  const line = h("div", { class: "notice" }, ...content);
  document.getElementById("notices").append(line);
  setTimeout(() => line.remove(), SHOWN);
}
