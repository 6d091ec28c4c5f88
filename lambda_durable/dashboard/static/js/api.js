// The HTTP API, as https://HOST/openapi.json describes it.

import { heard } from "./clock.js";
import { query } from "./dom.js";
import { token } from "./token.js";

const REMEMBERED = 30;
const seen = new Map();

/** What the API said instead, which is meant for people; `status` is 0 when it did not answer. */
export class ApiError extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** The same object as last time when nothing has changed. */
export async function get(url, values = {}, signal = undefined) {
  const target = url + query(values);
  const before = seen.get(target);
  const headers = before?.etag ? { "If-None-Match": before.etag } : {};
  const response = await send(target, { headers, signal });
  if (response.status === 304 && before) return before.value;
  const text = await response.text();
  if (before?.text === text) return before.value;
  const value = parse(response, text);
  seen.delete(target);
  seen.set(target, { etag: response.headers.get("ETag"), text, value });
  if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value);
  return value;
}

export async function post(url, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await send(url, { method: "POST", headers, body: JSON.stringify(body) });
  return parse(response, await response.text());
}

/**
 * Server-sent events, until they end: those that came together, each with its name, and its data as it was before it was
 * JSON. (An EventSource can't bring the token, but in its address or a cookie, where it would be for others to read.)
 */
export async function* stream(url, values, signal) {
  const response = await send(url + query(values), { headers: { Accept: "text/event-stream" }, signal });
  if (!response.ok) parse(response, await response.text());
  if (response.status === 204) return yield [{ name: "ended", data: {} }];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    yield blocks.map(event).filter(({ data }) => data !== undefined);
  }
}

function event(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/, 2)));
  return { name: fields.event, data: fields.data === undefined ? undefined : JSON.parse(fields.data) };
}

async function send(target, options) {
  options.headers.Authorization = `Bearer ${token()}`;
  let response;
  try {
    response = await fetch(target, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "NoAnswer", "The dashboard's server does not answer: is its command still running?");
  }
  heard(response.headers.get("Date"));
  return response;
}

function parse(response, text) {
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, "BadAnswer", `The API answered ${response.status}, and not in JSON.`);
  }
  if (response.ok) return value;
  const error = value?.error ?? {};
  throw new ApiError(response.status, error.type ?? "Error", error.message ?? `The API answered ${response.status}.`);
}
