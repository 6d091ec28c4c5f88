// What a run cost, once somebody asks.

import { get } from "../api.js";
import { h, path } from "../dom.js";
import { count, dollars } from "../format.js";
import { problem } from "./problem.js";
import { code } from "./table.js";

export function costOf(id) {
  const place = h("div");
  async function load() {
    if (!element.open) return;
    try {
      place.replaceChildren(bill(await get(path`/v1/runs/${id}/cost`)));
    } catch (error) {
      const told = error.type === "NoSuchRoute" ? [] : [problem(error, { again: load })];
      place.replaceChildren(...told, h("p", { class: "soft" }, "In a terminal:"), code(`lambda-durable cost ${id}`));
    }
  }
  const element = h("details", { class: "sheet", on: { toggle: load } }, h("summary", {}, "What it cost"), place);
  return element;
}

function bill({ charges, dollars: sum, invocations, prices }) {
  const rows = charges.map(({ what, count, dollars: amount, note }) => h("tr", {},
    h("td", {}, what, note && h("span", { class: "soft" }, ` (${note})`)),
    h("td", { class: "number" }, count.toLocaleString("en", { maximumFractionDigits: 2 })),
    h("td", { class: "number" }, dollars(amount))));
  const head = ["What", "How many", "Dollars"].map((name, i) => h("th", { scope: "col", class: i && "number" }, name));
  return h("div", {},
    h("p", {}, `${dollars(sum)} in ${count(invocations, "invocation")}; as far as the journal tells, by the prices of ${prices}.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What it cost, line by line" },
      h("table", { "aria-label": "What it cost" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}
