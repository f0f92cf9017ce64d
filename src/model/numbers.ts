/**
 * Numbers of JSON by their exact value. A double holds 15 digits for certain; where definitions are
 * read as values, a number that it would round stays the text that it was written as.
 */
import type { JsonText } from "./json.ts";

/** Made by `JSON.rawJSON`: `JSON.stringify` writes the number as it was read. */
export type ExactNumber = { readonly rawJSON: JsonText };

/** Not in TypeScript's library yet. */
const json = JSON as JSON & {
  rawJSON(text: JsonText): ExactNumber;
  isRawJSON(value: unknown): value is ExactNumber;
  parse(text: JsonText, reviver: Reviver): unknown;
};

type Reviver = (name: string, value: unknown, context: { source?: JsonText }) => unknown;

export const isExactNumber = json.isRawJSON;

/** Only what has as many digits, or such an exponent, may be more than a double holds. */
const maybeRounded = /\d[\d.]{15}|\d[eE][+-]?\d{3}/;

/** As JSON.parse; a number whose value a double does not hold becomes an ExactNumber. */
export function parseExact(text: JsonText): unknown {
  return maybeRounded.test(text) ? json.parse(text, exactValue) : JSON.parse(text);
}

function exactValue(_name: string, value: unknown, { source }: { source?: JsonText }): unknown {
  if (typeof value !== "number" || source === undefined || !maybeRounded.test(source)) return value;
  return canonicalNumber(source) === canonicalNumber(String(value)) ? value : json.rawJSON(source);
}

/** Integers with more zeros at their end are written with an exponent. */
const zerosMax = 400;

const numberForm = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,15}))?$/;

interface Decimal {
  readonly sign: "" | "-";
  /** Without zeros at either end; empty for 0. */
  readonly digits: string;
  /** Of the decimal point, counted from the first digit. */
  readonly point: number;
}

/** Undefined for an exponent of more than 15 digits. */
function decimalOf(text: JsonText): Decimal | undefined {
  const [, sign, integer, fraction = "", exponent = "0"] = numberForm.exec(text) ?? [];
  if (sign === undefined || integer === undefined) return undefined;
  const all = (integer + fraction).replace(/^0+/, "");
  const digits = trimZeros(all);
  if (digits === "") return { sign: "", digits, point: 0 };
  return {
    sign: sign === "-" ? "-" : "",
    digits,
    point: Number(exponent) - fraction.length + all.length,
  };
}

/**
 * One text for each value: 200, 200.0 and 2e2 are `200`, and -0 is `0`. As JavaScript writes
 * numbers, but with every digit, and integers beyond 1e21 without an exponent.
 */
export function canonicalNumber(text: JsonText): string {
  const decimal = decimalOf(text);
  // Not known exactly: no two texts of such numbers are taken for the same value.
  if (decimal === undefined) return text;
  const { sign, digits, point } = decimal;
  return digits === "" ? "0" : sign + positioned(digits, point - digits.length);
}

/** Numbers of as many characters are exact as doubles, and differ if their doubles do. */
const plainForm = /^-?[\d.]{1,15}$/;

/**
 * Below 0, 0 or above 0, by the exact values. NaN where an exponent of more than 15 digits makes
 * that unknown.
 */
export function compareNumbers(one: JsonText, other: JsonText): number {
  if (one === other) return 0;
  if (plainForm.test(one) && plainForm.test(other)) return Number(one) - Number(other);
  const [left, right] = [decimalOf(one), decimalOf(other)];
  if (left === undefined || right === undefined) return Number.NaN;
  if (signOf(left) !== signOf(right)) return signOf(left) - signOf(right);
  const size = left.point - right.point || compareDigits(left.digits, right.digits);
  return signOf(left) * size;
}

function signOf({ sign, digits }: Decimal): number {
  if (digits === "") return 0;
  return sign === "-" ? -1 : 1;
}

/** Of digits after a point. */
function compareDigits(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function trimZeros(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === "0") end -= 1;
  return digits.slice(0, end);
}

/** The value is `digits` times 10 to the power of `exponent`. */
function positioned(digits: string, exponent: number): string {
  const point = digits.length + exponent;
  if (exponent >= 0 && exponent <= zerosMax) return digits + "0".repeat(exponent);
  if (exponent < 0 && point > 0) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  if (exponent < 0 && point > -6) return `0.${"0".repeat(-point)}${digits}`;
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  return `${mantissa}e${point > 0 ? "+" : "-"}${Math.abs(point - 1)}`;
}
