/** Pauses between tries: exponential with jitter, from 100 ms to 5 s. */

const firstMs = 100;
const longestMs = 5_000;

/** `failures` in a row so far, from 1. Half of the pause is random, so that workers spread. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const fullMs = Math.min(firstMs * 2 ** (failures - 1), longestMs);
  return fullMs * (0.5 + 0.5 * random());
}
