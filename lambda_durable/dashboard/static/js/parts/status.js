// How a run or step is: a mark and a word, and a colour for who sees it.

import { h } from "../dom.js";

const MARKS = {
  completed: "✓", failed: "✗", running: "▸", queued: "…", waiting: "◔", retrying: "↻", pending: "…",
  cancelling: "◁", compensating: "◁", cancelled: "⊘", skipped: "⊝",
};

export function status(name, { word = true } = {}) {
  const known = Object.hasOwn(MARKS, name) ? name : "pending";
  return h("span", { class: `status is-${known}`, data: { mark: MARKS[known] } }, word && name);
}

export const STATUSES = ["queued", "running", "cancelling", "compensating", "completed", "failed", "cancelled", "skipped"];
