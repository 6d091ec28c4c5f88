// What waits: at paused functions, and at each limit.

import { get } from "../api.js";
import { h, keyed, path } from "../dom.js";
import { ago, count } from "../format.js";
import { rows } from "../keys.js";
import { live } from "../live.js";
import { troubles } from "../parts/problem.js";
import { code, empty, table } from "../parts/table.js";

const EVERY = 3000;

export async function page(view, { signal }) {
  const { element, body, cells } = table("Queues", [["At"], ["Limit"], ["In use", "number"], ["Waiting", "number"], ["Oldest since", "time"], ["Notes"]]);
  const nothing = h("div", { hidden: true });
  const trouble = troubles();
  view.append(h("h1", {}, "Queues"), trouble, h("section", { class: "sheet flush" }, element, nothing));
  rows(body, "tr", signal);
  const again = live(signal, look, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  await look();

  async function look() {
    const { queues } = await get("/v1/queues", {}, signal);
    const busy = queues.filter((queue) => queue.kind !== "function" || queue.paused || queue.waiting || queue.held_events || queue.skipped);
    element.hidden = !busy.length;
    nothing.hidden = busy.length > 0;
    nothing.replaceChildren(empty("Nothing waits.",
      h("p", { class: "soft" }, "Here is what a limit or a pause holds back. A limit is said where the function is:"),
      code('@app.function("charge", on_event("order/placed"), concurrency=Concurrency(5, key="data.customer"))')));
    keyed(body, busy, key, () => h("tr"), (row, queue) => cells(row, line(queue)));
  }
}

function key(queue) {
  return JSON.stringify([queue.kind, queue.function_id, queue.counts, queue.key, queue.limit, queue.every]);
}

function line(queue) {
  const at = queue.function_id ? h("a", { href: path`/functions/${queue.function_id}` }, queue.function_id) : "the app";
  return [at, limit(queue), queue.limit === null ? "" : String(queue.in_use), `${queue.waiting}${queue.more ? "+" : ""}`, ago(queue.oldest), notes(queue)];
}

function limit(queue) {
  const of = queue.key ? [" for ", h("code", { class: "anywhere" }, queue.key)] : [];
  if (queue.kind === "function") return "";
  const many = queue.limit === null || queue.limit === undefined ? queue.kind : `${queue.kind} ${queue.limit}${queue.counts ? ` (${queue.counts})` : ""}`;
  return [many, ...of];
}

function notes(queue) {
  return [
    queue.paused && h("span", { class: "tag warn" }, "paused"),
    queue.held_events && ` ${count(queue.held_events, "event")} held`,
    queue.skipped && ` ${count(queue.skipped, "run")} skipped in the last day`,
    queue.delayed && ` ${queue.delayed} ever had to wait`,
  ].filter(Boolean);
}
