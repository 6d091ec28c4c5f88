// An event, and what it started.

import { get } from "../api.js";
import { h, path, query } from "../dom.js";
import { exact } from "../format.js";
import { live } from "../live.js";
import { jsonView } from "../parts/json.js";
import { troubles } from "../parts/problem.js";
import { sendEvent } from "../parts/sending.js";
import { started } from "./events.js";

const EVERY = 2000;

export async function page(view, { params: { id }, signal }) {
  const trouble = troubles();
  const content = h("div", { class: "page" });
  let shown = null;
  view.append(h("h1", {}, "Event ", h("span", { class: "mono soft" }, id)), trouble, content);
  const again = live(signal, look, { every: EVERY, failed });
  await look().catch(failed);

  function failed(error) {
    const note = error?.status === 404 ? "It may be on its way: it is looked for again." : null;
    trouble.show(error, { again: () => again() });
    if (note) trouble.append(h("p", { class: "soft" }, note));
  }

  async function look() {
    const event = await get(path`/v1/events/${id}`, {}, signal);
    trouble.show(null);
    if (event === shown || signal.aborted) return;
    shown = event;
    content.replaceChildren(
      h("section", { class: "sheet", "aria-label": "About" }, h("dl", { class: "facts" },
        h("dt", {}, "name"), h("dd", {}, h("a", { href: `/events${query({ name: event.name })}` }, event.name)),
        h("dt", {}, "came"), h("dd", {}, exact(event.received_at)),
        h("dt", {}, "its time"), h("dd", {}, exact(event.time)),
        event.source && [h("dt", {}, "from"), h("dd", {}, event.source)],
        h("dt", {}, "started"), h("dd", {}, started(event))),
      h("p", {}, h("button", { type: "button", on: { click: () => sendEvent({ name: event.name, data: event.data ?? {} }) } }, "Send one like it…"))),
      h("section", { class: "sheet" }, h("h2", {}, "Data"), jsonView(event.data, "Data")));
  }
}
