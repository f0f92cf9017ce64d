/** Compares values of JSON texts as RFC 9535 does, and numbers by their exact value. */

import { openBrace, openBracket, quote } from "../../base/json-characters.ts";
import { canonicalValues } from "../../model/canonical.ts";
import type { JsonText } from "../../model/json.ts";
import { compareNumbers } from "../../model/numbers.ts";
import { keyOf } from "./json-text.ts";
import type { Work } from "./work.ts";

/** A value, read so far that it can be compared many times. */
export interface Comparable {
  readonly kind: "text" | "number" | "other";
  /** A text itself, a number as it is written, and anything else as canonical JSON. */
  readonly value: string;
}

export function comparable(text: JsonText, work: Work): Comparable {
  work.readText(text);
  const first = text.charCodeAt(0);
  if (first === quote) return { kind: "text", value: keyOf(text, 0, text.length) };
  if (first === openBrace || first === openBracket) {
    // Taking values apart and writing them anew takes as much time as looking at this many.
    work.lookAt(4 + 2 * text.length);
    return { kind: "other", value: canonicalValues(text) };
  }
  const isWord = text === "true" || text === "false" || text === "null";
  return { kind: isWord ? "other" : "number", value: text };
}

/**
 * Below 0, 0 or above 0; NaN for values that are neither equal nor in an order. Only two numbers and
 * two texts have an order. Nothing, which is undefined, equals nothing.
 */
export function compare(
  one: Comparable | undefined,
  other: Comparable | undefined,
  work: Work,
): number {
  if (one === undefined || other === undefined) return one === other ? 0 : Number.NaN;
  if (one.kind !== other.kind) return Number.NaN;
  if (one.kind === "number") {
    work.readText(one.value);
    work.readText(other.value);
    return compareNumbers(one.value, other.value);
  }
  work.readText(one.value.length < other.value.length ? one.value : other.value);
  if (one.value === other.value) return 0;
  return one.kind === "text" ? compareTexts(one.value, other.value) : Number.NaN;
}

/** By code points. The texts are different. */
function compareTexts(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one.charCodeAt(at) === other.charCodeAt(at)) at++;
  if (at === one.length || at === other.length) return one.length - other.length;
  return inOrder(one.charCodeAt(at)) - inOrder(other.charCodeAt(at));
}

/** Surrogates stand for code points above all that are one unit. */
function inOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
