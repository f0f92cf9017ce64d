/** One text for each JSON value, however it was written: for comparing what callers send again. */
import { limits } from "../limits.ts";
import type { JsonText } from "../model/json.ts";
import { canonicalNumber } from "../model/numbers.ts";

/**
 * Members are in order of their names and nothing is between the values; numbers are compared by their
 * exact value. A text above limits.canonicalCharsMax is returned unchanged, as
 * taking it apart would hold up others.
 */
export function canonicalJson(text: JsonText): JsonText {
  return text.length > limits.canonicalCharsMax ? text : JSON.parse(text, canonicalValue);
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
