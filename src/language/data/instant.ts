/** Times of RFC 3339 with an offset, compared by the moment that they mean, to any fraction. */

interface Instant {
  /** Whole seconds since 1970. */
  readonly seconds: number;
  /** Digits after the point, without zeros at their end. */
  readonly fraction: string;
}

const form =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Undefined for anything else, days that no calendar has among it. */
export function instantOf(text: string): Instant | undefined {
  const [whole, year, month, day, hour, minute, second, digits = "", sign, hours, minutes] =
    form.exec(text) ?? [];
  if (whole === undefined || hour === "24") return undefined;
  const utc = utcOf([year, month, day, hour, minute, second].map(Number));
  const [offsetHours, offsetMinutes] = [Number(hours ?? 0), Number(minutes ?? 0)];
  if (utc === undefined || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * 60 * (sign === "-" ? -1 : 1);
  return { seconds: utc / 1000 - offset, fraction: digits.replace(/0+$/, "") };
}

/**
 * Milliseconds since 1970 of year, month, day, hour, minute and second; undefined where there is no
 * such day or time. As in ISO 8601 a day may end at 24:00.
 */
export function utcOf(parts: readonly number[]): number | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  if (hour > 24 || minute > 59 || second > 59) return undefined;
  if (hour === 24 && minute + second > 0) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.setUTCHours(hour, minute, second);
}

/** Below 0, 0 or above 0. */
export function compareInstants(one: Instant, other: Instant): number {
  if (one.seconds !== other.seconds) return one.seconds - other.seconds;
  if (one.fraction === other.fraction) return 0;
  return one.fraction < other.fraction ? -1 : 1;
}
