// Sends an event, or starts a function, with data of one's own.

import { get, post } from "../api.js";
import { h, path } from "../dom.js";
import { go } from "../router.js";
import { json, open, text } from "./dialog.js";
import { notice } from "./notice.js";

export async function sendEvent({ name = "", data = {}, title = "Send an event" } = {}) {
  const names = await eventNames();
  open({
    title,
    fields: [
      text("name", "Name", { value: name, hint: "store/checkout.completed", list: names }),
      json("data", "Data (JSON)", data),
      text("id", "Id (one that was sent in the last 24 hours starts nothing again)", { hint: "made up, unless given" }),
    ],
    submit: "Send",
    act: async ({ name, data = {}, id }) => {
      const sent = await post("/v1/events", { events: [{ name, data, ...(id && { id }) }] });
      notice("Sent: ", h("a", { href: path`/events/${sent.ids[0]}` }, `event ${sent.ids[0]}`));
    },
  });
}

/** Those that the functions are started by, or none where that can't be told. */
export async function eventNames() {
  try {
    const found = await get("/v1/event-names");
    return found.names.filter((name) => !name.includes("*"));
  } catch {
    return [];
  }
}

export function invoke(id) {
  open({
    title: `Start ${id}`,
    fields: [
      json("data", "Data (JSON)", {}),
      text("run_id", "Run id (with one of your own, doing it again starts nothing twice)", { hint: "made up, unless given" }),
    ],
    submit: "Start",
    act: async ({ data = {}, run_id }) => {
      const run = await post("/v1/runs", { function: id, data, ...(run_id && { run_id }) });
      go(path`/runs/${run.run_id}`);
    },
  });
}
