// The steps of a run as they followed each other: a row a step, its bar where its time was.

import { now } from "../clock.js";
import { h, keyed } from "../dom.js";
import { count, ENDED, millis, spell, stamp } from "../format.js";
import { scale } from "./scale.js";
import { status } from "./status.js";
import { detail } from "./step.js";

const MANY = 15;
const TICKS = 5;
const WAITS = new Set(["sleep", "wait_for_event", "wait_for_signal", "wait_for_callback", "invoke", "poll"]);

/** `actions` is what can be done with a step (see step.js). */
export function timeline(actions) {
  const list = h("ol", { class: "timeline", "aria-label": "Steps" });
  const ticks = h("span", { class: "ticks", "aria-hidden": "true" });
  const search = h("input", { type: "search", placeholder: "Find a step", "aria-label": "Find a step", on: { input: filter } });
  const wrong = h("input", { type: "checkbox", on: { change: filter } });
  const even = h("input", { type: "checkbox", on: { change: () => draw() } });
  const found = h("span", { class: "soft", role: "status" });
  const tools = h("div", { class: "fields" }, search,
    h("label", { class: "check" }, wrong, "only what failed or goes on"),
    h("label", { class: "check" }, even, "true to time"), found);
  const element = h("section", { class: "sheet flush", "aria-label": "Timeline" },
    h("div", { class: "head inset" }, h("h2", {}, "Timeline"), tools),
    h("div", { class: "scale" }, h("span", {}, "step"), h("span", { class: "took" }, "took"), ticks), list);
  let run = null;
  let chosen = false;
  even.addEventListener("change", () => { chosen = true; });

  function draw() {
    const steps = run.steps;
    const axis = scale(moments(run), { even: chosen ? even.checked : null });
    even.checked = axis.even;
    tools.classList.toggle("few", steps.length < MANY);
    ticks.replaceChildren(...marks(axis));
    keyed(list, steps, (step) => step.id, (step) => row(step, actions), (item, step) => item.show(step, axis, run));
    filter();
  }

  function filter() {
    const wanted = search.value.toLowerCase();
    let shown = 0;
    for (const item of list.children) {
      const fits = item.step.id.toLowerCase().includes(wanted)
        && !(wrong.checked && ["completed", "cancelled"].includes(item.step.status));
      item.hidden = !fits;
      shown += fits;
    }
    found.textContent = shown === list.children.length ? count(shown, "step") : `${shown} of ${count(list.children.length, "step")}`;
  }

  return {
    element,
    show(latest) {
      run = latest;
      draw();
    },
    /** Open a step's row and go there. */
    reveal(id) {
      search.value = "";
      wrong.checked = false;
      filter();
      const item = [...list.children].find((child) => child.key === id);
      item?.reveal();
    },
  };
}

function row(first, actions) {
  const mark = h("span");
  const name = h("b");
  const kind = h("span", { class: "kind" });
  const took = h("span", { class: "took" });
  const track = h("span", { class: "track", "aria-hidden": "true" });
  const button = h("button", { type: "button", class: "step", "aria-expanded": "false", on: { click: () => toggle() } },
    h("span", { class: `name depth-${Math.min(3, depth(first.id))}` }, mark, name, kind), took, track);
  const item = h("li", {}, button);
  let open = null;
  let told = "";

  function toggle() {
    if (open) open.remove();
    open = open ? null : item.appendChild(h("div", { class: "detail" }));
    button.setAttribute("aria-expanded", String(Boolean(open)));
    if (open) open.append(...detail(item.step, item.run, actions));
  }

  item.reveal = () => {
    if (!open) toggle();
    item.scrollIntoView({ block: "center" });
    button.focus({ preventScroll: true });
  };

  item.show = (step, axis, run) => {
    const before = item.step;
    item.step = step;
    item.run = run;
    track.replaceChildren(...spans(step, axis, run));
    if (before === step) return;
    const text = JSON.stringify(step);
    if (text === told) return;
    told = text;
    mark.replaceChildren(status(step.status, { word: false }));
    name.textContent = step.id;
    name.title = step.id;
    kind.textContent = extra(step);
    took.textContent = lasted(step, run);
    button.setAttribute("aria-label", said(step, run));
    if (open) open.replaceChildren(...detail(step, run, actions));
  };
  return item;
}

function depth(id) {
  return (id.match(/\/|\[/g) ?? []).length;
}

function extra(step) {
  const kind = step.kind === "run" ? "" : step.kind.replaceAll("_", " ");
  const notes = [kind, step.attempts > 1 && `${step.attempts} attempts`, step.kept && "kept", step.unused && "no longer in the code"];
  return notes.filter(Boolean).join(" · ");
}

/** When a step's time begins and ends; one that goes on ends now. */
function times(step, run) {
  const start = millis(step.started_at);
  const end = millis(step.ended_at) ?? millis(run.ended_at) ?? Math.max(start ?? 0, now());
  return [start, end];
}

function lasted(step, run) {
  const [start, end] = times(step, run);
  if (start === null) return "";
  return step.ended_at || run.ended_at ? spell(end - start) : step.status;
}

function said(step, run) {
  const begun = step.started_at ? `, began ${spell(millis(step.started_at) - millis(run.created_at))} after the run` : "";
  const took = step.ended_at ? `, took ${lasted(step, run)}` : "";
  return `${step.id}: ${step.kind.replaceAll("_", " ")}, ${step.status}${step.attempts > 1 ? `, ${step.attempts} attempts` : ""}${begun}${took}`;
}

/** What happened at all, for the scale. A run that goes on reaches to now, and to what it is known to wake at. */
function moments(run) {
  const all = [millis(run.created_at), millis(run.started_at), millis(run.ended_at)];
  for (const step of run.steps) all.push(millis(step.started_at), millis(step.ended_at));
  if (!ENDED.has(run.status)) all.push(now());
  return all.filter((time) => time !== null);
}

/** The bars of a row: how long it was queued, and then what it did. */
function spans(step, axis, run) {
  const [start, end] = times(step, run);
  if (start === null) return [];
  const bars = [];
  const queued = (step.queue_delay ?? 0) * 1000;
  if (queued > 0) bars.push(span("queued", start - queued, start, axis));
  const goes = !step.ended_at && !run.ended_at;
  const waited = step.status === "waiting" || (WAITS.has(step.kind) && step.status === "completed");
  bars.push(span(`${waited ? "waited" : step.status}${goes ? " span-going" : ""}`, start, end, axis));
  return bars;
}

function span(kind, start, end, axis) {
  const bar = h("span", { class: `span span-${kind}` });
  const left = axis.at(start);
  bar.style.left = `min(calc(100% - 3px), ${(left * 100).toFixed(3)}%)`;
  bar.style.width = `${((axis.at(end) - left) * 100).toFixed(3)}%`;
  return bar;
}

function marks(axis) {
  return Array.from({ length: TICKS }, (_, i) => {
    const share = i / (TICKS - 1);
    const tick = h("span", { title: stamp(axis.time(share)) }, i ? spell(axis.time(share) - axis.first) : "0");
    tick.style.left = `${share * 100}%`;
    return tick;
  });
}
