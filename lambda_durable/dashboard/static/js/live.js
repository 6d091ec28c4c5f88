// Looking again, while a page is open and can be seen.

const SLOWEST = 30_000;

/**
 * Call `look` every so many milliseconds until `signal` is aborted: less often while it fails, or takes long, after
 * which it rests `rest` times that long (a look at a large app, or a wide run, is hundreds of reads). `failed` gets what
 * it throws, and null when it is well again. Returns what looks at once.
 */
export function live(signal, look, { every = 1000, rest = 3, failed = () => {} } = {}) {
  let wait = every;
  let timer = 0;
  let looking = null;
  let ill = false;

  async function round() {
    clearTimeout(timer);
    if (document.hidden || signal.aborted) return;
    const began = performance.now();
    try {
      await look();
      if (ill) failed(null);
      ill = false;
      wait = Math.min(Math.max(every, rest * (performance.now() - began)), SLOWEST);
    } catch (error) {
      if (signal.aborted) return;
      ill = true;
      wait = Math.min(wait * 2, SLOWEST);
      failed(error);
    }
    if (!signal.aborted) timer = setTimeout(again, wait);
  }

  function again() {
    looking ??= round().finally(() => { looking = null; });
    return looking;
  }

  document.addEventListener("visibilitychange", again, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  timer = setTimeout(again, every);
  return async () => {
    await looking;
    wait = every;
    return again();
  };
}
