/** Times with an offset, and local ones in their time zones. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareInstants, instantOf } from "../../src/language/data/instant.ts";
import { parseMoment, timeZoneOf } from "../../src/language/data/moment.ts";

function at(text: string, zone?: string): string | undefined {
  const moment = parseMoment(text);
  if (moment === undefined) return undefined;
  if (moment.kind === "moment") return new Date(moment.at).toISOString();
  return zone === undefined ? "local" : new Date(moment.in(timeZoneOf(zone)!)).toISOString();
}

test.each([
  ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"],
  ["2030-01-31t12:00z", "2030-01-31T12:00:00.000Z"],
  ["2030-01-31 12:00:00.5+01:00", "2030-01-31T11:00:00.500Z"],
  ["2030-01-31T12:00:00,123456789-0530", "2030-01-31T17:30:00.123Z"],
  ["2030-01-31T12:00+01", "2030-01-31T11:00:00.000Z"],
  ["2030-01-31T24:00Z", "2030-02-01T00:00:00.000Z"],
  ["2028-02-29T00:00Z", "2028-02-29T00:00:00.000Z"],
  ["0001-01-01T00:00Z", "0001-01-01T00:00:00.000Z"],
  ["+012345-01-01T00:00Z", "+012345-01-01T00:00:00.000Z"],
  ["2030-01-31", "local"],
  ["2030-01-31T12:00", "local"],
  ["2030-02-29T00:00Z", undefined],
  ["2030-04-31", undefined],
  ["2030-13-01", undefined],
  ["2030-01-31T24:01Z", undefined],
  ["2030-01-31T12:60Z", undefined],
  ["2030-01-31T12:00:60Z", undefined],
  ["2030-01-31T12:00+24:00", undefined],
  ["2030-01-31T12:00 Z", undefined],
  ["2030-1-31", undefined],
  ["Fri, 31 Jan 2030 12:00:00 GMT", undefined],
  ["1893456000", undefined],
  ["", undefined],
])("%s is %p", (text, expected) => {
  expect(at(text)).toBe(expected);
});

test.each([
  ["2030-01-31", "Europe/Berlin", "2030-01-30T23:00:00.000Z"],
  ["2030-07-31T12:00", "Europe/Berlin", "2030-07-31T10:00:00.000Z"],
  ["2030-07-31T12:00", "utc", "2030-07-31T12:00:00.000Z"],
  ["2030-07-31T12:00", "Asia/Kathmandu", "2030-07-31T06:15:00.000Z"],
  // Left out when clocks are set forward: moved on by as much.
  ["2025-03-30T02:30", "Europe/Berlin", "2025-03-30T01:30:00.000Z"],
  ["2025-03-30T03:00", "Europe/Berlin", "2025-03-30T01:00:00.000Z"],
  ["2025-03-09T02:30", "America/New_York", "2025-03-09T07:30:00.000Z"],
  ["2025-10-05T02:15", "Australia/Lord_Howe", "2025-10-04T15:45:00.000Z"],
  ["2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00:00.000Z"],
  // Twice when they are set back: the first.
  ["2025-10-26T02:30", "Europe/Berlin", "2025-10-26T00:30:00.000Z"],
  ["2025-11-02T01:30", "America/New_York", "2025-11-02T05:30:00.000Z"],
  ["2025-10-26T03:00", "Europe/Berlin", "2025-10-26T02:00:00.000Z"],
])("%s in %s is %s", (text, zone, expected) => {
  expect(at(text, zone)).toBe(expected);
});

test("names of time zones", () => {
  expect(
    ["Europe/Berlin", "UTC", "europe/berlin"].map((name) => timeZoneOf(name) === undefined),
  ).toEqual([false, false, false]);
  for (const name of ["Europe/Berln", "", "+01:00", "-05:00", "Local", "__proto__"]) {
    expect([name, timeZoneOf(name)]).toEqual([name, undefined]);
  }
});

const zones = [
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Asia/Tehran",
  "Africa/Casablanca",
  "Pacific/Apia",
  "America/Sao_Paulo",
];
const hour = 3_600_000;

test("a moment that a clock in the zone shows is found again, or an earlier one that it shows too", () => {
  const moment = fc.integer({ min: Date.UTC(1975, 0), max: Date.UTC(2040, 0) });
  fc.assert(
    fc.property(moment, fc.constantFrom(...zones), (ms, name) => {
      const zone = timeZoneOf(name)!;
      const shown = (time: number) => new Date(time + zone(time)).toISOString().slice(0, -1);
      const found = Date.parse(at(shown(ms), name)!);
      expect(shown(found)).toBe(shown(ms));
      expect(found).toBeLessThanOrEqual(ms);
      expect(ms - found).toBeLessThan(25 * hour);
    }),
    { numRuns: 500 },
  );
});

test("instants are in the order of their moments", () => {
  const part = fc.record({
    ms: fc.integer({ min: -1e12, max: 4e12 }),
    offset: fc.integer({ min: -14 * 60, max: 14 * 60 }),
  });
  const written = ({ ms, offset }: { ms: number; offset: number }) => {
    const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1);
    const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
    const two = (number: number) => `${number}`.padStart(2, "0");
    return `${local}${offset < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
  };
  fc.assert(
    fc.property(part, part, (one, other) => {
      const [left, right] = [instantOf(written(one))!, instantOf(written(other))!];
      expect(Math.sign(compareInstants(left, right))).toBe(Math.sign(one.ms - other.ms));
      expect(Date.parse(at(written(one))!)).toBe(one.ms);
    }),
    { numRuns: 500 },
  );
  const digits = (fraction: string) => instantOf(`2030-01-31T12:00:00.${fraction}Z`)!;
  expect(compareInstants(digits("1000000000001"), digits("1"))).toBeGreaterThan(0);
  expect(compareInstants(digits("100"), digits("1"))).toBe(0);
});
