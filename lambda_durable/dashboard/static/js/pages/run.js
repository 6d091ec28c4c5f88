// A run: how it is, what it waits for, its steps in time, and what can be done with it.

import { get, post } from "../api.js";
import { h, path } from "../dom.js";
import { ENDED, exact, millis, spell } from "../format.js";
import { now } from "../clock.js";
import { bind, rows } from "../keys.js";
import { live } from "../live.js";
import { costOf } from "../parts/cost.js";
import { jsonView, later } from "../parts/json.js";
import { messagesOf } from "../parts/messages.js";
import { troubles } from "../parts/problem.js";
import { askCancel, askRerun, togglePause } from "../parts/repairs.js";
import { status } from "../parts/status.js";
import { answers, awaited, errorView } from "../parts/step.js";
import { timeline } from "../parts/timeline.js";

const FAN_OUTS = new Set(["map", "map_group", "parallel", "group"]);

export async function page(view, { params: { id }, signal }) {
  const place = (tag, props) => h(tag, { ...props, hidden: true });
  const head = h("div", { class: "head" });
  const trouble = troubles();
  const failure = place("div");
  const waits = place("section", { class: "sheet waits", "aria-label": "What it waits for" });
  const about = h("section", { class: "sheet", "aria-label": "About" });
  const data = h("div", { class: "columns" });
  const cost = costOf(id);
  let run = null;
  const steps = timeline({ rerun: (from) => askRerun(run, from), changed: () => again() });
  view.append(head, trouble, failure, waits, about, steps.element, messagesOf(id, signal), data, cost);
  rows(steps.element, "li:not([hidden])", signal);
  bind("c", () => run && !ENDED.has(run.status) && askCancel(run, again), signal);
  bind("x", () => run && askRerun(run), signal);

  const again = live(signal, look, { failed: (error) => trouble.show(error, { again: () => again() }) });
  await first();

  async function first() {
    try {
      await look();
    } catch (error) {
      if (signal.aborted) return;
      if (error.status !== 404) throw error;
      head.replaceChildren(h("h1", {}, `Run ${id}`));
      trouble.show(error, { again });
    }
  }

  async function look() {
    if (run && ENDED.has(run.status)) return;
    const found = await whole(id, signal);
    if (signal.aborted) return;
    trouble.show(null);
    if (found !== run) {
      run = found;
      head.replaceChildren(...heading(run, again));
      failure.hidden = !run.error;
      failure.replaceChildren(...(run.error ? failed(run, steps) : []));
      data.replaceChildren(...payloads(run));
      showWaits();
    }
    about.replaceChildren(facts(run));
    steps.show(run);
  }

  function showWaits() {
    if (waits.contains(document.activeElement)) document.getElementById("main").focus();
    const lines = ENDED.has(run.status) ? [] : [...pending(run, () => again())];
    waits.hidden = !lines.length;
    waits.replaceChildren(h("h2", {}, "Waits for"), h("dl", { class: "facts" }, lines));
  }
}

const together = new WeakMap();

/** A run with all its steps, which come in pages; the same object as long as nothing has changed. */
async function whole(id, signal) {
  const first = await get(path`/v1/runs/${id}`, {}, signal);
  if (!first.steps_cursor) return first;
  const pages = [first];
  while (pages.at(-1).steps_cursor) {
    pages.push(await get(path`/v1/runs/${id}`, { cursor: pages.at(-1).steps_cursor }, signal));
  }
  const known = together.get(first);
  if (known && known.pages.every((page, i) => page === pages[i])) return known.run;
  const run = { ...first, steps: pages.flatMap((page) => page.steps) };
  together.set(first, { pages, run });
  return run;
}

function heading(run, again) {
  const button = (label, click, kind) => h("button", { type: "button", class: kind, on: { click } }, label);
  const over = ENDED.has(run.status);
  const stoppable = ["queued", "running"].includes(run.status);
  document.title = `${run.function_id} ${run.status} · lambda_durable`;
  return [
    h("h1", {}, h("a", { href: path`/functions/${run.function_id}` }, run.function_id), " ", h("span", { class: "mono soft anywhere" }, run.run_id)),
    status(run.status),
    run.paused && h("span", { class: "tag warn" }, "paused"),
    h("div", { class: "actions" },
      stoppable && button(run.paused ? "Resume" : "Pause", () => togglePause(run, again)),
      stoppable && button("Cancel…", () => askCancel(run, again), "danger"),
      button("Rerun…", () => askRerun(run), over && run.status !== "completed" ? "primary" : "")),
  ].filter(Boolean);
}

function failed(run, steps) {
  const { step_id: step } = run.error;
  const there = step && run.steps.some(({ id }) => id === step);
  const button = (label, click, kind) => h("button", { type: "button", class: kind, on: { click } }, label);
  const problem = errorView(run.error);
  if (there) {
    problem.append(h("div", { class: "actions" },
      button(`Show step ${step}`, () => steps.reveal(step)),
      button(`Rerun from ${step}…`, () => askRerun(run, step), "primary")));
  }
  return [problem];
}

function facts(run) {
  const link = (id) => h("a", { href: path`/runs/${id}`, class: "mono" }, id);
  const listed = (ids) => ids.flatMap((id, i) => [i ? ", " : "", link(id)]);
  const end = millis(run.ended_at) ?? now();
  const rows = [];
  const row = (name, ...value) => rows.push(h("dt", {}, name), h("dd", {}, ...value));
  if (run.event) row("event", run.event.id ? h("a", { href: path`/events/${run.event.id}` }, run.event.name) : run.event.name);
  if (run.created_at) row("created", exact(run.created_at));
  if (run.started_at && run.started_at !== run.created_at) {
    row("started", exact(run.started_at), ` (queued for ${spell(millis(run.started_at) - millis(run.created_at))})`);
  }
  if (run.ended_at) row("ended", exact(run.ended_at));
  if (run.created_at) row(run.ended_at ? "took" : "for", spell(end - millis(run.created_at)));
  if (run.labels?.length) row("labels", h("span", { class: "tags" }, run.labels.map((label) => h("a", { class: "tag", href: `/runs?${new URLSearchParams({ function: run.function_id, label })}` }, label))));
  if (run.skipped_reason) row("skipped", run.skipped_reason);
  if (run.duplicate_of) row("duplicate of", link(run.duplicate_of));
  if (run.rerun_of) row("again", link(run.rerun_of), run.rerun_from && ` from step ${run.rerun_from}`);
  if (run.reruns?.length) row("done again", ...listed(run.reruns));
  if (run.continuations) row("continued", `as new, ${run.continuations}×; event and steps are those of since`);
  if (run.version || run.lambda_version) row("code", [run.version, run.lambda_version && `Lambda version ${run.lambda_version}`].filter(Boolean).join(", "), run.pinned && "; it stays on it");
  return h("dl", { class: "facts" }, rows);
}

/** A line for each step that something outside must end, or time. */
function* pending(run, changed) {
  const line = (id, ...what) => [h("dt", { class: "anywhere" }, id), h("dd", {}, what)];
  if (run.retrying) {
    yield line("(between steps)", `attempt ${run.retrying.attempts} failed: ${run.retrying.error.type}: ${run.retrying.error.message}; the next one is due `, exact(run.retrying.wake_at));
  }
  for (const step of run.steps) {
    if (FAN_OUTS.has(step.kind)) continue;
    if (step.status === "waiting" && step.waiting_for && step.waiting_for.kind !== "time") {
      yield line(step.id, awaited(step.waiting_for), answers(step.waiting_for, { changed }));
    } else if (["waiting", "retrying"].includes(step.status) && step.wake_at) {
      yield line(step.id, step.status === "retrying" ? "its next attempt, " : "until ", exact(step.wake_at),
        step.status === "retrying" && step.error && `; attempt ${step.attempts} failed: ${step.error.type}: ${step.error.message}`);
    }
  }
}

function payloads(run) {
  const url = path`/v1/runs/${run.run_id}`;
  const event = run.batch
    ? sheet(`Events (${run.batch})`, ...kept(null, "Events", `${url}/event`, ({ events }) => events))
    : sheet("Event", ...kept(run.event_truncated ? null : run.event, "Event", `${url}/event`, ({ events }) => events[0]));
  if (run.status !== "completed") return [event];
  return [event, sheet("Output", ...(run.output_truncated
    ? kept(null, "Output", `${url}/output`, ({ output }) => output)
    : [jsonView(run.output ?? null, "Output")]))];
}

/** A value, or, where it was left out, a button that brings it. */
function kept(value, label, url, pick) {
  return [value === null ? later(label, async () => jsonView(pick(await get(url)) ?? null, label)) : jsonView(value, label)];
}

function sheet(title, ...content) {
  return h("section", { class: "sheet" }, h("h2", {}, title), ...content);
}
