// Dead letters: messages that were given up, why, and sending them again.

import { get, post } from "../api.js";
import { h, keyed, path } from "../dom.js";
import { ago, count } from "../format.js";
import { rows } from "../keys.js";
import { live } from "../live.js";
import { plainView } from "../parts/json.js";
import { notice } from "../parts/notice.js";
import { problem, troubles } from "../parts/problem.js";
import { empty, table } from "../parts/table.js";
import { open } from "../parts/dialog.js";

const EVERY = 10_000;
const LIMIT = 100;

export async function page(view, { signal }) {
  const { element, body, cells } = table("Dead letters", [["Select"], ["About"], ["Why"], ["What will be done"], ["Sent", "time"], [""]]);
  const nothing = h("div", { hidden: true });
  const trouble = troubles();
  const chosen = new Set();
  const more = h("p", { class: "soft", hidden: true });
  const every = h("input", { type: "checkbox", "aria-label": "All of them", on: { change: all } });
  const button = h("button", { type: "button", class: "primary", disabled: true, on: { click: redrive } }, "Redrive");
  element.querySelector("th").replaceChildren(every);
  view.append(h("div", { class: "head" }, h("h1", {}, "Dead letters"), button), trouble, more,
    h("section", { class: "sheet flush" }, element, nothing));
  rows(body, "tr", signal);
  let letters = [];
  const again = live(signal, look, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  await look();

  async function look() {
    const found = await get("/v1/dead-letters", { limit: LIMIT }, signal);
    letters = found.letters;
    more.hidden = !found.more;
    more.textContent = found.more ? `There are more: these are ${letters.length} of them.` : "";
    element.hidden = !letters.length;
    nothing.hidden = letters.length > 0;
    nothing.replaceChildren(empty("No message was given up.",
      h("p", { class: "soft" }, "One that could not be delivered, or made sense of, after many tries comes here, and is kept for 14 days.")));
    for (const id of chosen) if (!letters.some((letter) => letter.id === id)) chosen.delete(id);
    keyed(body, letters, (letter) => letter.id, () => h("tr"), (row, letter) => {
      if (row.told !== JSON.stringify(letter)) cells(row, line(letter));
      row.told = JSON.stringify(letter);
    });
    counted();
  }

  function line(letter) {
    const box = h("input", { type: "checkbox", "aria-label": `Select ${letter.id}`, checked: chosen.has(letter.id), on: { change: () => { chosen[box.checked ? "add" : "delete"](letter.id); counted(); } } });
    return [
      box,
      about(letter),
      [h("div", { class: "anywhere" }, letter.why), h("div", { class: "soft anywhere" }, letter.reason)],
      h("span", { class: "anywhere" }, letter.will ?? letter.way_out ?? ""),
      ago(letter.sent_at),
      h("button", { type: "button", class: "small", on: { click: () => inspect(letter) } }, "Inspect"),
    ];
  }

  function all() {
    for (const letter of letters) chosen[every.checked ? "add" : "delete"](letter.id);
    for (const box of body.querySelectorAll("input")) box.checked = every.checked;
    counted();
  }

  function counted() {
    button.disabled = !chosen.size;
    button.textContent = chosen.size ? `Redrive ${count(chosen.size, "letter")}` : "Redrive";
  }

  async function redrive() {
    button.disabled = true;
    try {
      const { done } = await post("/v1/dead-letters/redrive", { ids: [...chosen] });
      const stay = [...chosen].filter((id) => !(id in done));
      notice(`${count(Object.keys(done).length, "letter")} redriven${stay.length ? `; ${stay.length} stayed, for it says what to do about each` : ""}.`);
      chosen.clear();
    } catch (error) {
      trouble.show(error);
    }
    await again();
  }
}

function about(letter) {
  if (letter.run_id) return h("a", { href: path`/runs/${letter.run_id}`, class: "mono" }, letter.run_id);
  return letter.subject ?? letter.id;
}

async function inspect(letter) {
  const place = h("div", {}, "…");
  open({ title: "A dead letter", body: [h("dl", { class: "facts" }, facts(letter)), place], cancel: "Close" });
  try {
    const { letters } = await get("/v1/dead-letters", { limit: LIMIT, bodies: "true" });
    const found = letters.find(({ id }) => id === letter.id);
    place.replaceChildren(found ? plainView(indented(found.body), "Body") : "It is gone meanwhile.");
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}

function facts(letter) {
  const shown = Object.entries(letter).filter(([name, value]) => value !== null && value !== "" && name !== "body");
  return shown.map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))]);
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text ?? "";
  }
}
