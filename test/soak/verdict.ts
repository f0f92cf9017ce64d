/**
 * Whether a measure stays where it is. Only the second half of the samples is looked at, as a server
 * first fills its caches. The slope is that of least squares, and two standard errors to both sides
 * are what it may be by chance:
 *
 * - *flat*: even the steepest of these slopes is within what is allowed an hour.
 * - *grows*: even the gentlest of them is beyond it.
 * - *open*: the run was too short, or too restless, to tell.
 */

export interface Fit {
  /** Mean of the values that were looked at. */
  readonly mean: number;
  readonly perHour: number;
  /** Standard error of `perHour`. */
  readonly error: number;
}

export type Verdict = "flat" | "grows" | "open";

export interface Point {
  readonly seconds: number;
  readonly value: number;
}

const secondsPerHour = 3_600;

export function fitSecondHalf(points: readonly Point[]): Fit {
  const half = points.slice(Math.floor(points.length / 2));
  const count = half.length;
  const meanOf = (read: (point: Point) => number) =>
    half.reduce((sum, point) => sum + read(point), 0) / count;
  const [meanX, mean] = [meanOf(({ seconds }) => seconds), meanOf(({ value }) => value)];
  const spread = half.reduce((sum, { seconds }) => sum + (seconds - meanX) ** 2, 0);
  if (count < 3 || spread === 0) {
    return { mean, perHour: Number.NaN, error: Number.POSITIVE_INFINITY };
  }
  const slope =
    half.reduce((sum, { seconds, value }) => sum + (seconds - meanX) * (value - mean), 0) / spread;
  const rest = half.reduce(
    (sum, { seconds, value }) => sum + (value - mean - slope * (seconds - meanX)) ** 2,
    0,
  );
  const error = Math.sqrt(rest / (count - 2) / spread);
  return { mean, perHour: slope * secondsPerHour, error: error * secondsPerHour };
}

export function judge({ perHour, error }: Fit, allowedPerHour: number): Verdict {
  if (perHour + 2 * error <= allowedPerHour) return "flat";
  return perHour - 2 * error > allowedPerHour ? "grows" : "open";
}
