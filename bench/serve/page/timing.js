/** Timing: warm up, then run until the percentiles have settled or the time is up. */

/** Milliseconds between two signs of life. */
const SIGN_MS = 250;

/** Two halves whose percentiles are nearer than this have settled; the server judges the times by the same rule. */
const SETTLED = 0.05;

/** A percentile of numbers, between neighbours by a straight line, as numpy has it. */
export function percentile(values, percent) {
  const sorted = Float64Array.from(values).sort();
  const at = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Whether median and 90th percentile of the first half of the times are those of the second half. */
export function settled(times) {
  const half = Math.floor(times.length / 2);
  const [first, second] = [times.slice(0, half), times.slice(half)];
  return [50, 90].every((percent) => {
    const [a, b] = [percentile(first, percent), percentile(second, percent)];
    return Math.abs(a - b) <= SETTLED * Math.max(a, b);
  });
}

/**
 * Time a task, one run after the other.
 *
 * @param task run once, answers awaited.
 * @param limits {warmUp, least, most, seconds}; the seconds are those of the warm-up, and again of what counts.
 * @param tell told every now and then how far it is, 0..1, and the times so far.
 * @returns milliseconds of single runs.
 */
export async function measure(task, limits, tell) {
  let [end, shown] = [performance.now() + limits.seconds * 1000, 0];
  for (let i = 0; i < limits.warmUp && performance.now() < end; i++) await task(i);
  const times = [];
  end = performance.now() + limits.seconds * 1000;
  while (times.length < limits.most && (performance.now() < end || !times.length)) {
    const start = performance.now();
    await task(times.length);
    times.push(performance.now() - start);
    if (times.length >= limits.least && times.length % 50 === 0 && settled(times)) break;
    if (performance.now() - shown > SIGN_MS) {
      tell(Math.max(times.length / limits.most, 1 - (end - performance.now()) / (limits.seconds * 1000)), times);
      await new Promise((resolve) => setTimeout(resolve)); // so that the page can draw
      shown = performance.now();
    }
  }
  return times;
}

/** The smallest step of the clock, in milliseconds: browsers make it coarse where they fear to be spied on. */
export function clockStep() {
  let smallest = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    smallest = Math.min(smallest, now - start);
  }
  return smallest;
}
