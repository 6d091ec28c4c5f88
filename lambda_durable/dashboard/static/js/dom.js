// Elements from data. Text is only ever text: nothing in the dashboard parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props` are properties and attributes, `on` its listeners; what is null, undefined or false is left out. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Likewise, of a picture. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, { on = {}, data = {}, ...props }, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "href" && !/^(#|\/(?![\/\\]))/.test(value)) throw new TypeError(`a link to elsewhere: ${value}`);
    if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  Object.assign(element.dataset, data);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make the children of `parent` those of `items`, keeping what is there for the same key; `update` gets each. */
export function keyed(parent, items, key, create, update = () => {}) {
  const there = new Map([...parent.children].map((child) => [child.key, child]));
  let before = null;
  for (const item of items) {
    const id = key(item);
    let child = there.get(id);
    there.delete(id);
    if (!child) {
      child = create(item);
      child.key = id;
    }
    update(child, item);
    const next = before ? before.nextSibling : parent.firstChild;
    if (next !== child) parent.insertBefore(child, next);
    before = child;
  }
  for (const left of there.values()) left.remove();
}

/** The path of a URL in which values can hold any character. */
export function path(strings, ...values) {
  return String.raw({ raw: strings }, ...values.map((value) => encodeURIComponent(String(value).toWellFormed())));
}

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text && `?${text}`;
}
