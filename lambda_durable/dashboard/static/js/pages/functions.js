// The functions: what starts each, what limits it, and whether it is paused.

import { get } from "../api.js";
import { h, keyed, path } from "../dom.js";
import { duration, spell } from "../format.js";
import { rows } from "../keys.js";
import { live } from "../live.js";
import { troubles } from "../parts/problem.js";
import { invoke } from "../parts/sending.js";
import { code, empty, table } from "../parts/table.js";

const EVERY = 5000;

export async function page(view, { signal }) {
  const { element, body, cells } = table("Functions", [["Function"], ["Started by"], ["Limits"], ["Attempts"], ["State"], [""]]);
  const nothing = h("div", { hidden: true });
  const trouble = troubles();
  view.append(h("h1", {}, "Functions"), trouble, h("section", { class: "sheet flush" }, element, nothing));
  rows(body, "tr", signal);
  const again = live(signal, look, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  await look();

  async function look() {
    const { functions } = await get("/v1/functions", {}, signal);
    element.hidden = !functions.length;
    nothing.hidden = functions.length > 0;
    nothing.replaceChildren(empty("No function is known.",
      h("p", {}, "They are listed when the app is deployed, or when `lambda-durable dev` has loaded it."),
      code('@app.function("checkout", on_event("store/checkout.completed"))\ndef checkout(ctx: Context[Cart]) -> Receipt: ...')));
    keyed(body, functions, (item) => item.id, () => h("tr"), (row, item) => {
      if (row.told !== item) cells(row, line(item));
      row.told = item;
    });
  }
}

function line(item) {
  return [
    h("a", { href: path`/functions/${item.id}` }, item.id),
    lines(item.triggers),
    lines(item.limits),
    retries(item.retry),
    paused(item),
    h("button", { type: "button", class: "small", "aria-label": `Start ${item.id}`, on: { click: () => invoke(item.id) } }, "Start…"),
  ];
}

export function lines(texts) {
  return texts?.length ? h("ul", { class: "lines" }, texts.map((text) => h("li", { class: "anywhere" }, text))) : "";
}

/** "up to 5, after 5.0 s and then 2 times as long each" */
export function retries(retry) {
  if (retry.max_attempts <= 1) return "1";
  const first = spell(duration(retry.initial_delay));
  const grows = retry.multiplier === 1 ? `each ${first} later` : `${first} later at first, then ${retry.multiplier} times as long`;
  return `up to ${retry.max_attempts}, ${grows}${retry.jitter ? " at most" : ""}`;
}

export function paused(item) {
  if (!item.paused) return "";
  return h("span", { class: "tag warn" }, "paused");
}
