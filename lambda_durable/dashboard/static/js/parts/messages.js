// What a run publishes, as it does.

import { get, stream } from "../api.js";
import { h, path } from "../dom.js";
import { count, exact } from "../format.js";
import { live } from "../live.js";
import { jsonView } from "./json.js";
import { troubles } from "./problem.js";

const KEPT = 200;
const SHORT = 160;

/** A section that is there once something was published. It is told by the server, or, if that follows too many, asks. */
export function messagesOf(id, signal) {
  const list = h("ol", { class: "lines" });
  const log = h("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Messages" }, list);
  const said = h("span", { class: "soft" });
  const trouble = troubles();
  const element = h("section", { class: "sheet messages", hidden: true }, h("div", { class: "head" }, h("h2", {}, "Messages"), said), trouble, log);
  let cursor = "";
  let number = 0;
  let told = true;
  let ended = false;

  // To listen lasts as long as the run does, and is no work.
  live(signal, look, { rest: 0, failed: (error) => trouble.show(error) })();
  return element;

  async function look() {
    if (ended) return;
    if (told) await listen();
    else await ask();
  }

  async function listen() {
    const leaving = new AbortController();
    const leave = () => (document.hidden || signal.aborted) && leaving.abort();
    document.addEventListener("visibilitychange", leave, { signal: leaving.signal });
    signal.addEventListener("abort", leave, { signal: leaving.signal });
    try {
      for await (const events of stream(path`/v1/runs/${id}/follow`, { after: cursor }, leaving.signal)) {
        add(events.filter(({ name }) => name === "message").map(({ data }) => data));
        ended ||= events.some(({ name }) => name === "ended");
      }
    } catch (error) {
      if (leaving.signal.aborted) return;
      if (error.type !== "TooManyFeeds") throw error;
      told = false;
    } finally {
      leaving.abort();
    }
  }

  async function ask() {
    const page = await get(path`/v1/runs/${id}/messages`, { after: cursor }, signal);
    if (signal.aborted) return;
    add(page.messages);
    ended = page.ended;
  }

  function add(messages) {
    if (!messages.length) return;
    element.hidden = false;
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    list.append(...messages.slice(-KEPT).map(line));
    while (list.children.length > KEPT) list.firstChild.remove();
    cursor = messages.at(-1).cursor;
    number += messages.length;
    said.textContent = number > KEPT ? `the newest ${KEPT} of ${number.toLocaleString("en")}` : count(number, "message");
    if (follows) log.scrollTop = log.scrollHeight;
  }
}

function line(message) {
  const from = message.step_id && h("span", { class: "soft anywhere" }, `step ${message.step_id}${message.attempt > 1 ? `, attempt ${message.attempt}` : ""}`);
  return h("li", {}, h("span", { class: "soft" }, exact(message.published_at)), h("b", { class: "anywhere" }, message.topic), from, data(message));
}

function data({ topic, data: value }) {
  const text = JSON.stringify(value);
  if (text.length <= SHORT) return h("code", { class: "anywhere" }, text);
  const whole = h("details", { on: { toggle: () => whole.children.length > 1 || whole.append(jsonView(value, `Data of ${topic}`)) } },
    h("summary", {}, h("code", { class: "anywhere" }, `${text.slice(0, SHORT)}…`)));
  return whole;
}
