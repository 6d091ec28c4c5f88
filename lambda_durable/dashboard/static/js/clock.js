// What time it is where the runs are: beside `lambda-durable dev` that clock can be ahead, when a sleep was skipped.

let ahead = 0;

/** The time that an answer bears says how far; within two seconds it is the same clock. */
export function heard(date) {
  const difference = Date.parse(date) - Date.now();
  ahead = Math.abs(difference) > 2000 ? difference : 0;
}

export function now() {
  return Date.now() + ahead;
}
