// Times: how long a message took, and how to write it.

let origin = performance.timeOrigin;

/**
 * The wall clock at a moment of performance.now(), in ms since 1970 with fraction. Date.now() has whole milliseconds
 * only, and timeOrigin goes wrong when the clock is set or the machine sleeps; then it is taken anew.
 * @param {number} now
 */
export function wallClock(now) {
  const error = Date.now() - (origin + performance.now());
  if (Math.abs(error) > 20) origin += error;
  return origin + now;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 0.1) return "< 0.1 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** @param {number} ms since 1970 */
export function timeOfDay(ms) {
  return clock.format(ms);
}

/** @param {number} seconds */
export function remaining(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.ceil(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}
