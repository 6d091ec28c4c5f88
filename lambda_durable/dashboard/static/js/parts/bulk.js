// What is done to many runs of a function at once: a portion a request, until there is none left or the dialog is closed.

import { post } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { amount, choice, open, text, time } from "./dialog.js";
import { notice } from "./notice.js";

const PORTION = 100;

export function askReplay(id, changed) {
  ask({
    title: `Do runs of ${id} again`,
    about: "Each begins anew on the present code, with its own event. Its first run stays as it is. Closing this stops it.",
    fields: [
      choice("status", "Those that", [["failed", "failed"], ["cancelled", "were cancelled"], ["skipped", "were skipped"], ["completed", "completed"]]),
      ...between(),
      amount("per_second", "Begin at most, each second", { value: 10 }),
    ],
    submit: "Replay",
    url: "/v1/replays",
    body: (values) => ({ function: id, id: crypto.randomUUID(), ...values }),
    done: (runs) => `${count(runs, "run")} ${runs === 1 ? "is" : "are"} done again`,
    changed,
  });
}

export function askCancelAll(id, changed) {
  ask({
    title: `Cancel runs of ${id}`,
    about: "Those that have not ended. What their steps did is undone where they have an undo. Closing this stops it; what was cancelled stays so.",
    fields: [...between(), text("if_exp", "And for which this holds (CEL over event)", { hint: "event.data.amount > 100" })],
    submit: "Cancel those runs",
    danger: true,
    url: "/v1/cancellations",
    body: ({ if_exp: condition, ...values }) => ({ function: id, ...values, ...(condition && { if_exp: condition }) }),
    done: (runs) => `${count(runs, "run")} ${runs === 1 ? "is" : "are"} being cancelled`,
    changed,
  });
}

function between() {
  return [time("since", "That began at or after (any time, if empty)"), time("until", "And at or before")];
}

/** After an error the same question goes on where it was, so that nothing is done twice. */
function ask({ about, url, body, done, changed, ...question }) {
  let asked = null;
  let runs = 0;
  let looked = 0;
  let request = null;

  async function act(values, { say, signal }) {
    if (asked !== JSON.stringify(values)) {
      asked = JSON.stringify(values);
      [runs, looked, request] = [0, 0, { ...body(values), look_at: PORTION }];
    }
    try {
      while (request && !signal.aborted) {
        say(`Looked at ${count(looked, "run")}: ${done(runs)}…`);
        const portion = await post(url, request);
        runs += portion.runs.length;
        looked += portion.looked_at;
        request = portion.cursor && { ...request, cursor: portion.cursor };
      }
    } finally {
      changed();
    }
    notice(request ? `Stopped after ${count(looked, "run")}: ${done(runs)}.` : `Of ${count(looked, "run")}, ${done(runs)}.`);
    asked = null;
  }

  open({ ...question, body: [h("p", { class: "soft" }, about)], cancel: "Close", act });
}
