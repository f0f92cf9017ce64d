/** Compares JSON by values, however they are written. */
import type { JsonText } from "./json.ts";
import { canonicalNumber, isExactNumber, parseExact } from "./numbers.ts";

/** Payload that is compared by value; longer ones are compared as written. */
export const canonicalCharsMax = 64 * 1024;

/**
 * Members are in order of their names and nothing is between the values; numbers are compared by their
 * exact value. A text above canonicalCharsMax is returned unchanged, as taking it apart would
 * hold up others.
 */
export function canonicalJson(text: JsonText): JsonText {
  return text.length > canonicalCharsMax ? text : canonicalValues(text);
}

/** The same of a text of any length, which the caller bounds. */
export function canonicalValues(text: JsonText): JsonText {
  return JSON.parse(text, canonicalValue);
}

/** Values come with their members, which are texts by then. */
function canonicalValue(_name: string, value: unknown, context?: { source?: string }): JsonText {
  if (Array.isArray(value)) return `[${value.join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = value as Record<string, JsonText>;
    const parts = Object.keys(members)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${members[name]}`);
    return `{${parts.join(",")}}`;
  }
  if (typeof value === "number") return canonicalNumber(context?.source ?? `${value}`);
  return JSON.stringify(value);
}

/** Whether two texts hold the same value. The caller bounds their length. */
export function isSameJson(one: JsonText, other: JsonText): boolean {
  return one === other || isSameValue(parseExact(one), parseExact(other));
}

/** Of two values as parseExact returns them. The caller bounds their depth. */
export function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (!isObject(one) || !isObject(other)) return false;
  if (isExactNumber(one) || isExactNumber(other)) {
    const areBoth = isExactNumber(one) && isExactNumber(other);
    return areBoth && canonicalNumber(one.rawJSON) === canonicalNumber(other.rawJSON);
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => Object.hasOwn(other, name) && isSameValue(one[name], other[name]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
