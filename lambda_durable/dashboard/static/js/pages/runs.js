// Runs: found by what is known of them, newest first; the newest page is looked at again and again.

import { get } from "../api.js";
import { h, keyed, path, query } from "../dom.js";
import { ago, count, exact, ENDED, millis, spell } from "../format.js";
import { now } from "../clock.js";
import { bind, rows } from "../keys.js";
import { live } from "../live.js";
import { labelled } from "../parts/dialog.js";
import { troubles } from "../parts/problem.js";
import { sendEvent } from "../parts/sending.js";
import { status, STATUSES } from "../parts/status.js";
import { code, empty, table } from "../parts/table.js";
import { remember } from "../router.js";

const LIMIT = 50;
const EVERY = 2000;
const PERIODS = [["", "any time"], ["1h", "the last hour"], ["24h", "the last day"], ["7d", "the last 7 days"], ["30d", "the last 30 days"]];
const HOURS = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 };

export async function page(view, { query: given, signal }) {
  const functions = select("function", [["", "all functions"]]);
  const fields = {
    function: functions,
    status: select("status", [["", "any status"], ...STATUSES.map((name) => [name, name])]),
    period: select("period", PERIODS),
    label: input("label", "order-17"),
    where: input("where", "event.data.amount > 100 && output != null"),
  };
  const form = h("form", { class: "sheet fields", role: "search", on: { submit: filter, change: filter } },
    labelled("Function", fields.function), labelled("Status", fields.status), labelled("Started", fields.period),
    labelled("Label", fields.label), wide(labelled("Where (CEL over event and output)", fields.where)));
  const { element, body, cells } = table("Runs", [["Status"], ["Function"], ["Run"], ["Labels"], ["Started", "time"], ["Took", "number"]]);
  const nothing = h("div", { hidden: true });
  const far = h("span", { class: "soft", role: "status" });
  const earlier = h("button", { type: "button", on: { click: next } }, "Older");
  const later = h("button", { type: "button", on: { click: previous } }, "Newer");
  const pages = h("div", { class: "pages" }, far, later, earlier);
  const dot = h("span", { class: "dot" });
  const liveness = h("span", { class: "soft" });
  const trouble = troubles();
  let cursors = [null];
  let shown = null;

  for (const [name, field] of Object.entries(fields)) field.value = given.get(name) ?? "";
  view.append(
    h("div", { class: "head" }, h("h1", {}, "Runs"), dot, liveness), form, trouble,
    h("section", { class: "sheet flush" }, element, nothing, pages));
  rows(body, "tr", signal);
  bind("n", () => next(), signal);
  bind("p", () => previous(), signal);
  nameFunctions();

  const again = live(signal, () => cursors.length === 1 ? look() : undefined, {
    every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }),
  });
  await attempt();

  async function nameFunctions() {
    try {
      const found = await get("/v1/functions", {}, signal);
      const chosen = given.get("function") ?? "";
      functions.append(...found.functions.map(({ id }) => h("option", { value: id }, id)));
      functions.value = chosen;
      if (functions.value !== chosen) {
        functions.append(h("option", { value: chosen }, chosen));
        functions.value = chosen;
      }
    } catch { /* the list says what is wrong */ }
  }

  function filters() {
    const { period, ...rest } = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()]));
    rest.function ||= shown === null ? given.get("function") ?? "" : "";
    const since = HOURS[period] && new Date(now() - HOURS[period] * 3_600_000).toISOString().replace(/:\d\d\.\d+Z/, ":00Z");
    return { ...rest, since, limit: LIMIT, cursor: cursors.at(-1) };
  }

  async function look() {
    const asked = cursors.at(-1);
    const found = await get("/v1/runs", filters(), signal);
    if (asked !== cursors.at(-1) || signal.aborted) return;
    shown = found;
    keyed(body, found.runs, (run) => run.run_id, () => h("tr"), (row, run) => {
      const told = JSON.stringify(run);
      if (row.told !== told || !ENDED.has(run.status)) cells(row, line(run));
      row.told = told;
    });
    frame(found);
  }

  function frame(found) {
    const first = cursors.length === 1;
    const any = found.runs.length > 0;
    nothing.hidden = any;
    element.hidden = !any;
    if (!any) nothing.replaceChildren(filtered() ? empty(first ? "No run is like that." : "No older run is like that.", reach(found)) : teach());
    const reached = fields.where.value && found.until ? [`Looked at ${count(found.looked_at, "run")}, back to `, exact(found.until), failures(found)] : [];
    far.replaceChildren(...(reached.length ? reached : [any ? `Page ${cursors.length}` : ""]).flat().filter(Boolean));
    pages.dataset.page = cursors.length;
    earlier.disabled = !found.cursor;
    later.disabled = first;
    dot.classList.toggle("off", !first);
    liveness.textContent = first ? "live" : "an older page: not live";
  }

  function filtered() {
    return cursors.length > 1 || Object.values(fields).some((field) => field.value);
  }

  async function attempt() {
    try {
      await look();
      trouble.show(null);
    } catch (error) {
      if (!signal.aborted) trouble.show(error, { again: attempt });
    }
  }

  function filter(event) {
    event.preventDefault();
    cursors = [null];
    remember(query(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()]))));
    return attempt();
  }

  function next() {
    if (earlier.disabled) return;
    cursors.push(shown.cursor);
    earlier.disabled = true;
    return attempt();
  }

  function previous() {
    if (cursors.length === 1) return;
    cursors.pop();
    return attempt();
  }
}

function line(run) {
  const end = millis(run.ended_at);
  const took = spell((end ?? now()) - millis(run.created_at));
  return [
    [status(run.status), run.paused && [" ", h("span", { class: "tag warn" }, "paused")]].flat(2).filter(Boolean),
    h("a", { href: path`/functions/${run.function_id}` }, run.function_id),
    h("a", { href: path`/runs/${run.run_id}`, class: "mono", data: { opens: "" } }, run.run_id),
    run.labels.length ? h("span", { class: "tags" }, run.labels.map((label) => h("span", { class: "tag" }, label))) : "",
    ago(run.created_at),
    end || !ENDED.has(run.status) ? took : "",
  ];
}

function reach(found) {
  return h("p", { class: "soft" }, found.cursor
    ? "Older runs were not looked at yet: go on with Older."
    : "All runs were looked at. Take a filter away, or a longer time.");
}

function failures(found) {
  return found.failed ? `; the expression fails on ${found.failed}` : "";
}

function teach() {
  return empty("Nothing has run yet.",
    h("p", {}, "A run begins when an event comes that a function is triggered by:"),
    h("p", {}, h("button", { type: "button", class: "primary", on: { click: () => sendEvent() } }, "Send an event")),
    h("p", { class: "soft" }, "or, in a terminal:"),
    code("lambda-durable send --name store/checkout.completed --data '{}'"));
}

function select(name, options) {
  return h("select", { name }, options.map(([value, said]) => h("option", { value }, said)));
}

function input(name, hint) {
  return h("input", { name, placeholder: hint, autocomplete: "off", spellcheck: "false" });
}

function wide(element) {
  element.classList.add("wide");
  return element;
}
