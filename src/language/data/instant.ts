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
  if (whole === undefined) return undefined;
  const [offsetHours, offsetMinutes] = [Number(hours ?? 0), Number(minutes ?? 0)];
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== Number(month) - 1) {
    return undefined;
  }
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  const offset = (offsetHours * 60 + offsetMinutes) * 60 * (sign === "-" ? -1 : 1);
  return { seconds: date.getTime() / 1000 - offset, fraction: digits.replace(/0+$/, "") };
}

/** Below 0, 0 or above 0. */
export function compareInstants(one: Instant, other: Instant): number {
  if (one.seconds !== other.seconds) return one.seconds - other.seconds;
  if (one.fraction === other.fraction) return 0;
  return one.fraction < other.fraction ? -1 : 1;
}
