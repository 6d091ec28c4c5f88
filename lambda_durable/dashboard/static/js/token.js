// The token of this start of the dashboard: it comes in the fragment of the address that was printed, which is not sent
// anywhere, and is kept for this origin (port included) alone.

const KEY = "lambda-durable-token";

export function token() {
  return localStorage.getItem(KEY) ?? "";
}

/** Take it from the address, and out of it: it belongs in no history and no bookmark. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  localStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname + location.search);
}
