/**
 * Moments in ISO 8601: with an offset, or local in a time zone of the IANA database. Whether they are
 * in a definition or come from data, they are read here.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { utcOf } from "./instant.ts";

/** In milliseconds since 1970; `local`: it needs a time zone. */
type Moment =
  | { readonly kind: "moment"; readonly at: number }
  | { readonly kind: "local"; readonly in: (zone: TimeZone) => number };

const form =
  /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?)?$/;

/** Undefined for what is no such time, or a day that no calendar has. */
export function parseMoment(text: string): Moment | undefined {
  const [whole, year, month, day, hour = "0", minute = "0", second = "0", fraction = ""] =
    form.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const utc = utcOf([year, month, day, hour, minute, second].map(Number));
  if (utc === undefined) return undefined;
  const at = utc + Number(fraction.slice(0, 3).padEnd(3, "0"));
  const [zulu, sign, hours = "0", minutes = "0"] = form.exec(text)!.slice(8);
  if (zulu === undefined && sign === undefined)
    return { kind: "local", in: (zone) => inZone(at, zone) };
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return { kind: "moment", at: sign === "-" ? at + offset : at - offset };
}

/** Milliseconds to add to UTC at a moment. */
type TimeZone = (at: number) => number;

const zonesKept = 100;
const zones = new BoundedMap<string, TimeZone>(zonesKept);

/** Undefined for a name that the database does not have. */
export function timeZoneOf(name: string): TimeZone | undefined {
  const known = zones.get(name);
  // What begins with a sign is an offset, which the time itself may have.
  if (known !== undefined || /^[+-]/.test(name)) return known;
  try {
    const zone = openZone(name);
    zones.set(name, zone);
    return zone;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Throws RangeError for an unknown name. */
function openZone(timeZone: string): TimeZone {
  const writer = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  return (at) => {
    const [, sign, hours, minutes, seconds = "0"] =
      /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(writer.format(at)) ?? [];
    const offset = (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds)) * 1000;
    return sign === "-" ? -offset : offset;
  };
}

const dayMs = 24 * 3600 * 1000;

/**
 * The moment of a local time, which is given as if it were UTC. Where clocks were set back there are
 * two, of which the first counts; where they were set forward there is none, and the time is moved
 * on by as much.
 */
function inZone(local: number, zone: TimeZone): number {
  const before = local - zone(local - dayMs);
  const after = local - zone(local + dayMs);
  const found = [before, after].filter((at) => at + zone(at) === local);
  return found.length === 0 ? before : Math.min(...found);
}
