// Questions: a form in a dialog, which stays, and says why, when what it asks for can't be done.

import { h } from "../dom.js";
import { troubles } from "./problem.js";

let number = 0;

/**
 * Open a dialog. `fields` are made by `text`, `json` and so on; `act` gets their values by name, and the dialog is
 * closed once it is done. What takes long can `say` how far it is, and asks `signal` whether the dialog was closed.
 */
export function open({ title, body = [], fields = [], submit = null, act = null, danger = false, cancel = "Cancel" }) {
  const id = `dialog-${++number}`;
  const trouble = troubles();
  const said = h("p", { role: "status", hidden: true });
  const closed = new AbortController();
  const button = submit && h("button", { class: danger ? "danger" : "primary" }, submit);
  const form = h("form", { method: "dialog", novalidate: true, on: { submit: attempt, keydown: hurry } },
    h("h2", { id }, title), ...body, ...fields.map((field) => field.element), said, trouble,
    h("div", { class: "actions" }, h("button", { type: "button", on: { click: () => dialog.close() } }, cancel), button));
  const dialog = h("dialog", { "aria-labelledby": id, on: { close: () => { closed.abort(); dialog.remove(); } } }, form);

  async function attempt(event) {
    event.preventDefault();
    if (!act) return dialog.close();
    trouble.show(null);
    try {
      const values = Object.fromEntries(fields.map((field) => [field.name, field.value()]));
      button.disabled = true;
      await act(values, { say, signal: closed.signal });
      dialog.close();
    } catch (error) {
      trouble.show(error);
    } finally {
      button.disabled = false;
    }
  }

  function say(text) {
    said.hidden = false;
    said.textContent = text;
  }

  function hurry(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  }

  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A line of text. */
export function text(name, label, { value = "", hint = "", list = [] } = {}) {
  const options = list.length ? `list-${++number}` : null;
  const input = h("input", { value, list: options, autocomplete: "off", spellcheck: "false", placeholder: hint });
  const suggestions = options && h("datalist", { id: options }, list.map((item) => h("option", { value: item })));
  return { name, element: labelled(label, input, suggestions), value: () => input.value.trim() };
}

/** A number above 0. */
export function amount(name, label, { value }) {
  const input = h("input", { value, type: "number", min: "0", step: "any", inputmode: "decimal" });
  return { name, element: labelled(label, input), value: () => Number(input.value) };
}

/** A time where the person is; none is undefined. */
export function time(name, label) {
  const input = h("input", { type: "datetime-local", step: "1" });
  return { name, element: labelled(label, input), value: () => (input.value ? new Date(input.value).toISOString() : undefined) };
}

export function choice(name, label, options, value) {
  const select = h("select", {}, options.map(([option, said]) => h("option", { value: option }, said)));
  if (value !== undefined) select.value = value;
  return { name, element: labelled(label, select), value: () => select.value };
}

/** JSON; nothing at all is undefined. */
export function json(name, label, value) {
  const area = h("textarea", { spellcheck: "false", autocomplete: "off" });
  area.value = value === undefined ? "" : JSON.stringify(value, null, 2);
  return { name, element: labelled(label, area), value: () => read(label, area.value) };
}

function read(label, given) {
  if (!given.trim()) return undefined;
  try {
    return JSON.parse(given);
  } catch (error) {
    throw Object.assign(new Error(error.message), { type: `${label} is no JSON:` });
  }
}

export function labelled(label, ...controls) {
  return h("label", { class: "field" }, h("span", {}, label), ...controls);
}
