// Tables, which become cards where they are too narrow.

import { h } from "../dom.js";

/** `columns` are [name, class]; a row's cells are set by `cells`. */
export function table(label, columns) {
  const body = h("tbody");
  const head = columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name));
  const element = h("table", { class: "cards", "aria-label": label }, h("thead", {}, h("tr", {}, head)), body);
  const cells = (row, values) => {
    row.replaceChildren(...values.map((value, i) =>
      h("td", { class: columns[i][1], data: { label: columns[i][0] } }, value)));
    return row;
  };
  return { element, body, cells };
}

/** What a list says that has nothing: what would fill it. */
export function empty(title, ...help) {
  return h("div", { class: "empty" }, h("h2", {}, title), ...help);
}

export function code(text) {
  return h("pre", {}, text);
}
