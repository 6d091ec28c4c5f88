// Which page an address means. A page fills the element that it is given, until its signal is aborted.

import { h } from "./dom.js";
import { problem } from "./parts/problem.js";

const routes = [];
let leaving = new AbortController();

/** `pattern` is a path whose `:parts` are values; `load` imports the page's module. */
export function route(pattern, load) {
  const names = [...pattern.matchAll(/:(\w+)/g)].map((match) => match[1]);
  routes.push({ regex: new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}/?$`), names, load });
}

export function go(url, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", url);
  return show();
}

/** Change the query of the address, without leaving the page. */
export function remember(search) {
  history.replaceState(null, "", location.pathname + search);
}

export async function show({ focus = true } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const main = document.getElementById("main");
  const view = h("div", { class: "page" });
  try {
    const { load, params } = find(location.pathname);
    const { page } = await load();
    if (signal.aborted) return;
    main.replaceChildren(view);
    window.scrollTo(0, 0);
    if (focus) main.focus({ preventScroll: true });
    document.dispatchEvent(new Event("shown"));
    await page(view, { params, query: new URLSearchParams(location.search), signal });
  } catch (error) {
    if (signal.aborted) return;
    main.replaceChildren(problem(error, { again: () => show() }));
  }
}

function find(pathname) {
  for (const { regex, names, load } of routes) {
    const match = regex.exec(pathname);
    if (match) return { load, params: Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(match[i + 1])])) };
  }
  throw new Error(`There is no page ${pathname}.`);
}

/** Links within the dashboard change the page, not the document. */
export function followLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='/']");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  window.addEventListener("popstate", () => show());
}
