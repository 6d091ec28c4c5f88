// Runs that should have gone on and did not.

import { get } from "../api.js";
import { h, keyed, path } from "../dom.js";
import { ago } from "../format.js";
import { rows } from "../keys.js";
import { live } from "../live.js";
import { troubles } from "../parts/problem.js";
import { code, empty, table } from "../parts/table.js";

const EVERY = 10_000;
const LIMIT = 100;

export async function page(view, { signal }) {
  const { element, body, cells } = table("Overdue runs", [["Run"], ["Due", "time"], ["Why"], ["The way out"]]);
  const nothing = h("div", { hidden: true });
  const trouble = troubles();
  view.append(h("h1", {}, "Overdue"), trouble, h("section", { class: "sheet flush" }, element, nothing));
  rows(body, "tr", signal);
  const again = live(signal, look, { every: EVERY, failed: (error) => trouble.show(error, { again: () => again() }) });
  await look();

  async function look() {
    const { overdue } = await get("/v1/overdue", { limit: LIMIT }, signal);
    element.hidden = !overdue.length;
    nothing.hidden = overdue.length > 0;
    nothing.replaceChildren(empty("Nothing is overdue.",
      h("p", { class: "soft" }, "A run that should have gone on 15 minutes ago is brought back every 5 minutes. One that stays here needs you; in a terminal:"),
      code("lambda-durable doctor --fix")));
    keyed(body, overdue, (run) => `${run.run_id} ${run.why}`, () => h("tr"), (row, run) => cells(row, [
      h("a", { href: path`/runs/${run.run_id}`, class: "mono", data: { opens: "" } }, run.run_id),
      ago(run.due_at),
      h("span", { class: "anywhere" }, run.why),
      h("span", { class: "anywhere" }, run.way_out),
    ]));
  }
}
