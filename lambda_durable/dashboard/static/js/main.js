// The frame around the pages.

import { h } from "./dom.js";
import { bind, listen } from "./keys.js";
import { sendEvent } from "./parts/sending.js";
import { followLinks, go, route, show } from "./router.js";
import { restoreTheme, toggleTheme } from "./theme.js";
import { takeToken } from "./token.js";

const PAGES = [
  ["/runs", "Runs"],
  ["/functions", "Functions"],
  ["/events", "Events"],
  ["/queues", "Queues"],
  ["/dead-letters", "Dead letters"],
  ["/overdue", "Overdue"],
];

restoreTheme();
takeToken();

route("/runs", () => import("./pages/runs.js"));
route("/runs/:id", () => import("./pages/run.js"));
route("/functions", () => import("./pages/functions.js"));
route("/functions/:id", () => import("./pages/function.js"));
route("/events", () => import("./pages/events.js"));
route("/events/:id", () => import("./pages/event.js"));
route("/queues", () => import("./pages/queues.js"));
route("/dead-letters", () => import("./pages/letters.js"));
route("/overdue", () => import("./pages/overdue.js"));

const links = PAGES.map(([url, name]) => h("a", { href: url }, name));
document.getElementById("nav").append(...links);
document.getElementById("tools").append(
  h("button", { type: "button", on: { click: () => sendEvent() } }, "Send event"),
  h("button", { type: "button", "aria-label": "Light or dark", title: "Light or dark (t)", on: { click: toggleTheme } }, "◐"),
);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
document.addEventListener("shown", () => {
  const [, section] = location.pathname.split("/");
  for (const link of links) {
    if (link.getAttribute("href") === `/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${PAGES.find(([url]) => url === `/${section}`)?.[1] ?? "Dashboard"} · lambda_durable`;
});

listen();
bind("s", () => sendEvent());
bind("t", toggleTheme);
bind("/", () => document.querySelector("#main form :is(input, select)")?.focus());
followLinks();
window.addEventListener("hashchange", () => { takeToken(); show(); });
if (location.pathname === "/") go("/runs", { replace: true });
else show({ focus: false });
