/**
 * How much this machine keeps the test's own process waiting: limits of time give that much room.
 */

const probeMs = 10;

/** Returns what ends it, which reports the longest that a timer was late since. */
export function watchLag(): () => number {
  let worstMs = 0;
  let expected = performance.now() + probeMs;
  const timer = setInterval(() => {
    const now = performance.now();
    worstMs = Math.max(worstMs, now - expected);
    expected = now + probeMs;
  }, probeMs);
  return () => {
    clearInterval(timer);
    return Math.max(worstMs, performance.now() - expected);
  };
}
