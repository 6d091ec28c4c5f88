// Events of a name, newest first, and what each started.

import { get } from "../api.js";
import { h, keyed, path, query } from "../dom.js";
import { ago } from "../format.js";
import { bind, rows } from "../keys.js";
import { live } from "../live.js";
import { labelled } from "../parts/dialog.js";
import { troubles } from "../parts/problem.js";
import { eventNames, sendEvent } from "../parts/sending.js";
import { code, empty, table } from "../parts/table.js";
import { go } from "../router.js";

const LIMIT = 50;
const EVERY = 2000;

export async function page(view, { query: given, signal }) {
  const names = await eventNames();
  const name = given.get("name") ?? names[0] ?? "";
  const field = h("input", { name: "name", value: name, list: "event-names", placeholder: "store/checkout.completed", autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "sheet fields", role: "search", on: { submit: choose, change: choose } },
    labelled("Event name", field), h("datalist", { id: "event-names" }, names.map((value) => h("option", { value }))),
    h("button", {}, "List"));
  form.firstChild.classList.add("wide");
  const { element, body, cells } = table("Events", [["Event"], ["Came", "time"], ["From"], ["Started"]]);
  const nothing = h("div", { hidden: true });
  const earlier = h("button", { type: "button", on: { click: next } }, "Older");
  const later = h("button", { type: "button", on: { click: previous } }, "Newer");
  const trouble = troubles();
  let cursors = [null];
  let shown = null;
  view.append(
    h("div", { class: "head" }, h("h1", {}, "Events"),
      h("button", { type: "button", class: "primary", on: { click: () => sendEvent({ name }) } }, "Send an event…")),
    form, trouble,
    h("section", { class: "sheet flush" }, element, nothing, h("div", { class: "pages" }, h("span", { class: "soft" }), later, earlier)));
  rows(body, "tr", signal);
  bind("n", next, signal);
  bind("p", previous, signal);
  if (!name) return teach();
  const again = live(signal, () => cursors.length === 1 ? look() : undefined, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  return look();

  function choose(event) {
    event.preventDefault();
    if (field.value.trim() !== name) go(`/events${query({ name: field.value.trim() })}`);
  }

  async function look() {
    const asked = cursors.at(-1);
    const found = await get("/v1/events", { name, limit: LIMIT, cursor: asked }, signal);
    if (asked !== cursors.at(-1) || signal.aborted) return;
    trouble.show(null);
    shown = found;
    keyed(body, found.events, (event) => event.id, () => h("tr"), (row, event) => cells(row, line(event)));
    earlier.disabled = !found.cursor;
    later.disabled = cursors.length === 1;
    element.hidden = !found.events.length;
    nothing.hidden = found.events.length > 0;
    if (!found.events.length) teach();
  }

  function teach() {
    nothing.hidden = false;
    element.hidden = true;
    earlier.disabled = later.disabled = true;
    nothing.replaceChildren(empty(name ? `No ${name} has come.` : "Which events?",
      h("p", { class: "soft" }, "Events are listed by their name, when some function is started by them or waits for them. To send one:"),
      code(`lambda-durable send --name ${name || "store/checkout.completed"} --data '{}'`)));
  }

  function next() {
    if (earlier.disabled) return;
    cursors.push(shown.cursor);
    earlier.disabled = true;
    look().catch((error) => trouble.show(error));
  }

  function previous() {
    if (cursors.length === 1) return;
    cursors.pop();
    look().catch((error) => trouble.show(error));
  }
}

function line(event) {
  return [
    h("a", { href: path`/events/${event.id}`, class: "mono" }, event.id),
    ago(event.received_at),
    event.source ?? "",
    started(event),
  ];
}

/** The runs that an event started, by function. */
export function started(event) {
  const runs = Object.entries(event.runs ?? {});
  if (!runs.length) return h("span", { class: "soft" }, "nothing");
  return h("ul", { class: "lines" }, runs.map(([id, run]) => h("li", {}, run
    ? [h("a", { href: path`/runs/${run}` }, id)]
    : [h("a", { href: path`/functions/${id}` }, id), h("span", { class: "soft" }, " with others (a batch or burst)")])));
}
