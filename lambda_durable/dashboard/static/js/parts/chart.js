// Bars over time, as a picture that says in words what it shows.

import { h, svg } from "../dom.js";
import { stamp } from "../format.js";

const WIDTH = 640;
const HEIGHT = 150;
const LEFT = 34;
const BOTTOM = 18;

/**
 * Stacked bars. `buckets` have a `start` and a number for each of `kinds`, which are [name, class]; a kind that none has
 * is left out of the key. Each is `width` milliseconds long.
 */
export function bars(label, buckets, kinds, width) {
  const totals = buckets.map((bucket) => kinds.reduce((sum, [kind]) => sum + (bucket[kind] ?? 0), 0));
  const top = Math.max(1, ...totals);
  const wide = (WIDTH - LEFT) / Math.max(1, buckets.length);
  const tall = (number) => number / top * (HEIGHT - BOTTOM - 12);
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${label}: ${said(buckets, kinds)}` },
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    svg("text", { x: LEFT - 6, y: 14, "text-anchor": "end" }, String(top)),
    svg("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, "0"));
  buckets.forEach((bucket, i) => {
    let y = HEIGHT - BOTTOM;
    for (const [kind, style] of kinds) {
      const height = tall(bucket[kind] ?? 0);
      if (!height) continue;
      y -= height;
      const bar = svg("rect", { class: style, x: LEFT + i * wide + 0.5, y, width: Math.max(1, wide - 1.5), height });
      bar.append(svg("title", {}, `${stamp(bucket.start)}: ${bucket[kind]} ${kind}`));
      picture.append(bar);
    }
  });
  if (buckets.length) {
    picture.append(
      svg("text", { x: LEFT, y: HEIGHT - 4 }, stamp(buckets[0].start).slice(0, 16)),
      svg("text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end" }, stamp(Date.parse(buckets.at(-1).start) + width).slice(0, 16)));
  }
  const there = kinds.filter(([kind]) => buckets.some((bucket) => bucket[kind]));
  const key = there.map(([kind, style]) =>
    h("span", {}, svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: style, width: 10, height: 10, rx: 2 })), kind));
  return h("div", {}, picture, h("div", { class: "key" }, key));
}

function said(buckets, kinds) {
  const sums = kinds.map(([kind]) => [kind, buckets.reduce((sum, bucket) => sum + (bucket[kind] ?? 0), 0)]);
  return sums.filter(([, sum]) => sum).map(([kind, sum]) => `${sum} ${kind}`).join(", ") || "nothing";
}
