// The keyboard: what a page adds is gone when it is left.

import { h } from "./dom.js";
import { open } from "./parts/dialog.js";
import { go } from "./router.js";

const PLACES = { r: "/runs", f: "/functions", e: "/events", q: "/queues", d: "/dead-letters", o: "/overdue" };
const HELP = [
  ["j  k", "next, previous row"],
  ["Enter", "open the row"],
  ["n  p", "next, previous page of a list"],
  ["/", "to the filters"],
  ["s", "send an event"],
  ["g r", "go to runs; g f functions, g e events, g q queues, g d dead letters, g o overdue"],
  ["c", "cancel the run that is shown"],
  ["x", "do it again (rerun)"],
  ["t", "light or dark"],
  ["?", "this"],
];

const bound = [];
let going = false;

/** Do something at a key, until `signal` is aborted. */
export function bind(key, action, signal = undefined) {
  const entry = { key, action };
  bound.push(entry);
  signal?.addEventListener("abort", () => bound.splice(bound.indexOf(entry), 1));
}

export function listen() {
  bind("?", help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going) {
      going = false;
      if (Object.hasOwn(PLACES, event.key)) go(PLACES[event.key]);
      return;
    }
    if (event.key === "g") {
      going = true;
      setTimeout(() => { going = false; }, 1200);
      return;
    }
    const entry = bound.findLast(({ key }) => key === event.key);
    if (!entry) return;
    event.preventDefault();
    entry.action(event);
  });
}

/** j and k through the rows of a table or list, Enter into the link that opens it. */
export function rows(container, selector, signal) {
  const all = () => [...container.querySelectorAll(selector)];
  const step = (by) => {
    const list = all();
    const at = list.findIndex((row) => row.classList.contains("here"));
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
    if (!next) return;
    for (const row of list) row.classList.toggle("here", row === next);
    next.scrollIntoView({ block: "nearest" });
    (next.querySelector("[data-opens]") ?? next.querySelector("a, button"))?.focus({ preventScroll: true });
  };
  bind("j", () => step(1), signal);
  bind("k", () => step(-1), signal);
}

function help() {
  const lines = HELP.map(([keys, what]) => [
    h("dt", {}, keys.split(" ").filter(Boolean).map((key) => [h("kbd", {}, key), " "])),
    h("dd", {}, what),
  ]);
  open({ title: "Keyboard", body: [h("dl", { class: "facts" }, lines)], cancel: "Close" });
}
