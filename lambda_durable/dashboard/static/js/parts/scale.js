// From times to places. A run can sleep three days between two steps of 50 ms: where most of its time is such waiting,
// each stretch between two things that happen is as wide as the logarithm of what it took.

const LONG = 60_000;
const SMALLEST = 5;

/** Times in milliseconds, in any order. `at` gives a share of the width; `even` says that it is in proportion. */
export function scale(times, { even = null } = {}) {
  const points = [...new Set(times)].sort((a, b) => a - b);
  const first = points[0] ?? 0;
  const last = points.at(-1) ?? 0;
  const linear = even ?? !uneven(points);
  if (linear || points.length < 3) {
    const whole = Math.max(1, last - first);
    return { even: true, first, last, at: (time) => clamp((time - first) / whole), time: (share) => first + share * whole };
  }
  const edges = [0];
  for (let i = 1; i < points.length; i++) edges.push(edges[i - 1] + Math.log1p((points[i] - points[i - 1]) / SMALLEST));
  const whole = edges.at(-1);
  return {
    even: false,
    first,
    last,
    at: (time) => {
      const i = Math.max(1, below(points, time));
      const share = (time - points[i - 1]) / (points[i] - points[i - 1]);
      return clamp((edges[i - 1] + clamp(share) * (edges[i] - edges[i - 1])) / whole);
    },
    time: (share) => {
      const i = Math.max(1, below(edges, share * whole));
      return points[i - 1] + (share * whole - edges[i - 1]) / (edges[i] - edges[i - 1]) * (points[i] - points[i - 1]);
    },
  };
}

/** Whether long stretches leave no room to see the short ones. */
function uneven(points) {
  const stretches = points.slice(1).map((point, i) => point - points[i]);
  const whole = points.at(-1) - points[0];
  const long = stretches.filter((stretch) => stretch > LONG).reduce((sum, stretch) => sum + stretch, 0);
  return long > whole * 0.7 && stretches.some((stretch) => stretch < whole / 100);
}

/** The first index whose value is at least `value`, or the last. */
function below(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function clamp(share) {
  return Math.min(1, Math.max(0, share));
}
