// What went wrong, where it did, and the way out.

import { h } from "../dom.js";

const WAYS_OUT = {
  401: "Its token is of this start of the command alone: open the address that it printed last.",
  403: "See which permissions the command's AWS credentials need in docs/dashboard.md.",
  429: "AWS answers no more for the moment: it is asked again.",
};

/** `again` tries again what failed. */
export function problem(error, { again = null } = {}) {
  if (!error.status && error.type === undefined) console.error(error);
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, error.type ?? error.name), " ",
    h("span", { class: "anywhere" }, error.message),
    WAYS_OUT[error.status] && h("p", { class: "soft" }, WAYS_OUT[error.status]),
    again && h("p", {}, h("button", { type: "button", on: { click: again } }, "Try again")),
  );
}

/** A place for a problem, which is empty while there is none. */
export function troubles() {
  const place = h("div", { hidden: true });
  place.show = (error, options) => {
    place.hidden = !error;
    place.replaceChildren(...(error ? [problem(error, options)] : []));
  };
  return place;
}
