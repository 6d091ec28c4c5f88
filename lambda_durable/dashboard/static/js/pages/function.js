// A function: what starts and limits it, how its runs go, and pause, resume, start.

import { get, post } from "../api.js";
import { now } from "../clock.js";
import { h, path } from "../dom.js";
import { count, duration, exact, spell } from "../format.js";
import { askCancelAll, askReplay } from "../parts/bulk.js";
import { bars } from "../parts/chart.js";
import { choice, labelled, open } from "../parts/dialog.js";
import { live } from "../live.js";
import { notice } from "../parts/notice.js";
import { problem, troubles } from "../parts/problem.js";
import { invoke } from "../parts/sending.js";
import { lines, paused, retries } from "./functions.js";

const EVERY = 10_000;
const HOUR = 3_600_000;
const PERIODS = [["1", "the last hour"], ["24", "the last day"], ["168", "the last 7 days"]];
const KINDS = [["completed", "bar-completed"], ["failed", "bar-failed"], ["cancelled", "bar-cancelled"], ["skipped", "bar-skipped"], ["running", "bar-other"]];

export async function page(view, { params: { id }, signal }) {
  const head = h("div", { class: "head" });
  const about = h("section", { class: "sheet", "aria-label": "About" });
  const period = h("select", { on: { change: () => again() } }, PERIODS.map(([value, said]) => h("option", { value }, said)));
  period.value = "24";
  const charts = h("div");
  const trouble = troubles();
  view.append(head, trouble, about, h("section", { class: "sheet", "aria-label": "How its runs go" },
    h("div", { class: "head" }, h("h2", {}, "Its runs"), labelled("Of", period)), charts));
  const again = live(signal, look, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  await look();

  async function look() {
    const { functions } = await get("/v1/functions", {}, signal);
    const item = functions.find((item) => item.id === id) ?? { id, unknown: true };
    head.replaceChildren(...heading(item, again));
    about.replaceChildren(facts(item));
    const since = new Date(Math.floor((now() - Number(period.value) * HOUR) / 60_000) * 60_000).toISOString();
    try {
      const metrics = await get(path`/v1/functions/${id}/metrics`, { since }, signal);
      charts.replaceChildren(...shown(metrics));
    } catch (error) {
      if (signal.aborted) return;
      charts.replaceChildren(problem(error, { again }));
    }
  }
}

function heading(item, again) {
  const button = (label, click, kind) => h("button", { type: "button", class: kind, on: { click } }, label);
  document.title = `${item.id} · lambda_durable`;
  return [
    h("h1", {}, item.id), paused(item),
    h("div", { class: "actions" },
      h("a", { class: "button", href: `/runs?${new URLSearchParams({ function: item.id })}` }, "Runs"),
      item.paused ? button("Resume", () => resume(item.id, again), "primary") : button("Pause…", () => pause(item.id, again)),
      button("Replay many…", () => askReplay(item.id, again)),
      button("Cancel many…", () => askCancelAll(item.id, again), "danger"),
      button("Start…", () => invoke(item.id))),
  ];
}

function facts(item) {
  if (item.unknown) return h("p", {}, "The app that is deployed has no function of this id: it was renamed or removed. Its runs are kept.");
  const rows = [];
  const row = (name, value) => value && rows.push(h("dt", {}, name), h("dd", {}, value));
  row("what it is", item.description);
  row("started by", lines(item.triggers) || "direct starts and step.invoke alone");
  row("limits", lines(item.limits));
  row("cancelled on", lines(item.cancel_on));
  row("attempts", retries(item.retry));
  row("to start within", item.start_timeout && spell(duration(item.start_timeout)));
  row("to end within", item.finish_timeout && spell(duration(item.finish_timeout)));
  row("steps per invocation", String(item.steps_per_invocation));
  row("when it has failed", item.on_failure && h("a", { href: path`/functions/${item.on_failure}` }, item.on_failure));
  row("version", item.version && `${item.version}${item.pinned ? "; runs stay on the code that they began on" : ""}`);
  row("code", item.handler && h("code", { class: "anywhere" }, item.handler));
  return h("dl", { class: "facts" }, rows);
}

function shown(metrics) {
  const { counts, latency, buckets } = metrics;
  const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
  if (!total) return [h("p", { class: "soft" }, "It had no run in this time.")];
  const number = (said, what) => h("div", {}, h("b", {}, said), h("span", {}, what));
  const seconds = (value) => value === null || value === undefined ? "–" : spell(value * 1000);
  const rate = metrics.failure_rate;
  return [
    h("div", { class: "numbers" },
      number(total.toLocaleString("en"), total === 1 ? "run" : "runs"),
      number(rate === null || rate === undefined ? "–" : `${(rate * 100).toFixed(rate && rate < 0.1 ? 1 : 0)} %`, "of those that ended failed"),
      number(seconds(latency?.p50), "half take less"),
      number(seconds(latency?.p95), "95 % take less")),
    bars("Runs by when they began", buckets, KINDS, metrics.bucket_seconds * 1000),
    h("p", { class: "soft" }, `From the newest ${count(metrics.looked_at, "run")}`, metrics.looked_back_to && [", back to ", exact(metrics.looked_back_to)], "."),
  ];
}

function pause(id, again) {
  open({
    title: `Pause ${id}`,
    body: [h("p", { class: "soft" }, "It begins nothing, within ten seconds, until it is resumed.")],
    fields: [
      choice("events", "New events", [["hold", "are held: they become runs when it is resumed"], ["skip", "are skipped"]]),
      choice("runs", "Its runs", [["hold", "stop before their next step"], ["cancel", "are cancelled"]]),
    ],
    submit: "Pause",
    act: async (values) => {
      await post(path`/v1/functions/${id}/pause`, values);
      await again();
    },
  });
}

async function resume(id, again) {
  try {
    await post(path`/v1/functions/${id}/resume`);
  } catch (error) {
    notice(error.message);
  }
  await again();
}
