// How long to wait before the next try: exponential with full jitter and a cap.

/** The first windows are wide enough to spread a crowd after a restart (I37). */
const WINDOW_MS_FIRST = 5_000;
const WINDOW_MS_MAX = 30_000;
/** From this try on, half of the window is certain: at most 10 tries in a minute (I36). */
const PATIENT_FROM = 4;

/** Returns milliseconds before try number `attempt` (from 1), given a random number in [0, 1). */
export function reconnectMs(attempt: number, random: number): number {
  const window = Math.min(WINDOW_MS_MAX, WINDOW_MS_FIRST * 2 ** Math.max(0, attempt - 2));
  return Math.floor(attempt < PATIENT_FROM ? random * window : window / 2 + (random * window) / 2);
}

/** Returns milliseconds before pushing again after a `retry`. */
export function retryMs(attempt: number, random: number): number {
  return 100 + Math.floor(random * Math.min(WINDOW_MS_MAX, 500 * 2 ** Math.min(attempt, 8)));
}

/** Returns milliseconds after a `goaway`: what the server asks for, then spread. */
export function goAwayMs(retryMsAsked: number, random: number): number {
  return Math.max(0, Math.floor(retryMsAsked)) + Math.floor(random * WINDOW_MS_FIRST);
}
