// Times, durations and counts for people.

import { now } from "./clock.js";
import { h } from "./dom.js";

const UNITS = [["day", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]];

/** A duration in milliseconds by its two largest units: "3 days 4 h". */
export function spell(millis) {
  if (millis < 0) return "0 ms";
  if (millis < 1000) return `${Math.round(millis)} ms`;
  if (millis < 10_000) return `${(millis / 1000).toFixed(1)} s`;
  let left = Math.round(millis / 1000) * 1000;
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count) parts.push(`${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** Milliseconds of a time of the API's, or null. */
export function millis(time) {
  return time ? Date.parse(time) : null;
}

/** A time, said from now; pointing at it shows it whole. */
export function ago(time) {
  if (!time) return "";
  const past = now() - Date.parse(time);
  const text = Math.abs(past) < 2000 ? "now" : past > 0 ? `${spell1(past)} ago` : `in ${spell1(-past)}`;
  return h("time", { datetime: time, title: stamp(time) }, text);
}

function spell1(duration) {
  const [unit, size] = UNITS.find(([, size]) => duration >= size) ?? UNITS.at(-1);
  const count = Math.floor(duration / size);
  return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`;
}

/** "2026-11-22 09:00:01.250", where the person is. */
export function stamp(time) {
  const at = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const rest = at.getMilliseconds() ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : "";
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${rest}`;
}

export function exact(time) {
  return time ? h("time", { datetime: time }, stamp(time)) : "";
}

const ISO = /^(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/;

/** Milliseconds of a duration of the API's ("PT1M30S"). */
export function duration(text) {
  const [, minus, ...parts] = ISO.exec(text) ?? [];
  const sum = parts.reduce((total, part, i) => total + (Number(part) || 0) * UNITS[i][1], 0);
  return minus ? -sum : sum;
}

export function count(number, what, several = `${what}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? what : several}`;
}

export function dollars(amount) {
  if (!amount) return "$0";
  return amount >= 0.01 ? `$${amount.toFixed(2)}` : `$${amount.toLocaleString("en", { maximumSignificantDigits: 3 })}`;
}

export const ENDED = new Set(["completed", "failed", "cancelled", "skipped"]);
