// What there is to know of a step, and to do with it.

import { get, post } from "../api.js";
import { h, path } from "../dom.js";
import { exact, millis, spell } from "../format.js";
import { json, open, text } from "./dialog.js";
import { jsonView, later, plainView } from "./json.js";
import { notice } from "./notice.js";
import { sendEvent } from "./sending.js";
import { status } from "./status.js";

/** `actions` has `rerun(from)`, and `changed()`, which is called when something was answered. */
export function detail(step, run, actions) {
  return [
    h("dl", { class: "facts" }, facts(step, run).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    step.waiting_for && step.status === "waiting" && answers(step.waiting_for, actions),
    step.error && errorView(step.error),
    output(step, run),
    rerunnable(step) && h("div", { class: "actions" },
      h("button", { type: "button", on: { click: () => actions.rerun(step.id) } }, "Rerun from here…")),
  ].filter(Boolean);
}

function part(title, ...content) {
  return h("section", {}, h("h3", {}, title), ...content);
}

/** What undoes a step, and a step within another one, is none that a run can begin at. */
function rerunnable(step) {
  return step.kind !== "undo" && step.status !== "pending";
}

function facts(step, run) {
  const rows = [["status", status(step.status)], ["kind", step.kind.replaceAll("_", " ")]];
  if (step.attempts) rows.push(["attempts", String(step.attempts)]);
  if (step.queue_delay) rows.push(["queued", spell(step.queue_delay * 1000)]);
  if (step.started_at) rows.push(["began", [exact(step.started_at), ` (${spell(millis(step.started_at) - millis(run.created_at))} after the run)`]]);
  if (step.ended_at) rows.push(["ended", [exact(step.ended_at), ` (took ${spell(millis(step.ended_at) - millis(step.started_at))})`]]);
  if (step.wake_at && !step.ended_at) rows.push([step.status === "retrying" ? "next attempt" : "wakes", exact(step.wake_at)]);
  if (step.waiting_for && step.waiting_for.kind !== "time") rows.push(["waits for", awaited(step.waiting_for)]);
  if (step.kept) rows.push(["kept", "from the run that this one repeats"]);
  if (step.unused) rows.push(["unused", "the code that ended the run no longer called it"]);
  return rows;
}

/** "event store/paid whose value is 7, until ..." */
export function awaited(wait) {
  const names = wait.kind === "run" ? wait.names.map((id) => h("a", { href: path`/runs/${id}` }, id)) : [wait.names.join(" or ")];
  const match = wait.match !== null && wait.match !== undefined && [" with the value ", h("code", {}, JSON.stringify(wait.match))];
  const what = wait.kind === "callback" ? ["a callback"] : [`${wait.kind === "time" ? "" : wait.kind} `, ...names, match];
  return [...what, wait.deadline && [", until ", exact(wait.deadline)]];
}

export function errorView(error) {
  return h("section", { class: "problem" },
    h("strong", {}, error.type), " ", h("span", { class: "anywhere" }, error.message),
    error.traceback && h("details", {}, h("summary", {}, "Traceback"), plainView(error.traceback, "Traceback")));
}

function output(step, run) {
  if (step.status !== "completed" || step.kind === "sleep") return null;
  const label = `Output of ${step.id}`;
  if (!step.truncated) return part("Output", jsonView(step.output ?? null, label));
  const load = async () => jsonView((await get(path`/v1/runs/${run.run_id}/steps/${step.id}`)).output ?? null, label);
  return part("Output", h("p", { class: "soft" }, "It is long, and was left out."), later("it", load));
}

/** Buttons that bring what a step waits for. */
export function answers(wait, { changed }) {
  const button = (label, click, kind = "") => h("button", { type: "button", class: kind, on: { click } }, label);
  if (wait.kind === "callback" && wait.token) {
    return h("div", { class: "actions" },
      button("Complete…", () => complete(wait.token, changed), "primary"),
      button("Fail…", () => fail(wait.token, changed), "danger"));
  }
  if (wait.kind === "signal") {
    return h("div", { class: "actions" }, button("Send the signal…", () => signal(wait.names[0], changed), "primary"));
  }
  if (wait.kind === "event") {
    const sent = () => sendEvent({ name: wait.names[0], title: "Send the event that it waits for" });
    return h("div", { class: "actions" }, button("Send the event…", sent, "primary"));
  }
  return null;
}

function complete(token, changed) {
  open({
    title: "Complete the callback",
    fields: [json("result", "Result (JSON)", null)],
    submit: "Complete",
    act: async ({ result = null }) => told(await post(path`/v1/callbacks/${token}/complete`, { result }), "completed", changed),
  });
}

function fail(token, changed) {
  open({
    title: "Fail the callback",
    body: [h("p", { class: "soft" }, "In the run it is a CallbackError with this message.")],
    fields: [text("error", "What went wrong")],
    submit: "Fail",
    danger: true,
    act: async ({ error }) => told(await post(path`/v1/callbacks/${token}/fail`, { error }), "failed", changed),
  });
}

function signal(name, changed) {
  open({
    title: `Send the signal ${name}`,
    fields: [json("data", "Data (JSON)", null)],
    submit: "Send",
    act: async ({ data = null }) => told(await post("/v1/signals", { name, data }), "sent", changed),
  });
}

function told(answer, done, changed) {
  notice(answer.done ? `It is ${done}.` : "Nobody waits for it any more.");
  changed();
}

