/**
 * Looks inside JSON text without parsing it: values are found as slices of the text, so whole
 * outputs and numbers beyond 2^53 pass exactly, and keys such as `__proto__` are plain data. The
 * text must be valid JSON; the scan relies on it.
 */
import {
  backslash,
  closeBrace,
  closeBracket,
  comma,
  openBrace,
  openBracket,
  quote,
} from "../../base/json-characters.ts";
import type { JsonText } from "../../model/json.ts";

/**
 * The value at `path`, or undefined without one. Of a repeated key the last value counts, as
 * with JSON.parse. A number also names an object's key, and a numeral also indexes an array. The
 * text is read once, however long the path is.
 */
export function pick(text: JsonText, path: readonly (string | number)[]): JsonText | undefined {
  // A lone value has nothing but white space around it.
  if (path.length === 0) return text.trim();
  const walk = new Walk(text, path);
  walk.value(skipSpace(text, 0), 0);
  return walk.found();
}

/** The texts of the elements of an array; undefined for any other value. */
export function elementsOf(text: JsonText): JsonText[] | undefined {
  const start = skipSpace(text, 0);
  if (text.charCodeAt(start) !== openBracket) return undefined;
  const elements: JsonText[] = [];
  let at = skipSpace(text, start + 1);
  while (at < text.length && text.charCodeAt(at) !== closeBracket) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = nextItem(text, end);
  }
  return elements;
}

/** One reading of a text in search of one path. */
class Walk {
  readonly #text: JsonText;
  readonly #path: readonly (string | number)[];
  #start = -1;
  #end = -1;

  constructor(text: JsonText, path: readonly (string | number)[]) {
    this.#text = text;
    this.#path = path;
  }

  found(): JsonText | undefined {
    return this.#start < 0 ? undefined : this.#text.slice(this.#start, this.#end);
  }

  /** Reads the value that the first steps of the path have led to; returns where it ends. */
  value(at: number, depth: number): number {
    if (depth < this.#path.length) {
      const step = this.#path[depth]!;
      const first = this.#text.charCodeAt(at);
      if (first === openBrace) return this.#object(at, `${step}`, depth);
      if (first === openBracket) return this.#array(at, indexOf(step), depth);
      return skipValue(this.#text, at);
    }
    this.#start = at;
    this.#end = skipValue(this.#text, at);
    return this.#end;
  }

  #object(object: number, key: string, depth: number): number {
    const text = this.#text;
    let at = skipSpace(text, object + 1);
    while (text.charCodeAt(at) === quote) {
      const keyEnd = skipString(text, at);
      const start = valueAfterKey(text, keyEnd);
      if (keyMatches(text, at, keyEnd, key)) {
        // What an earlier member of the same key led to does not count any more.
        this.#start = -1;
        at = nextItem(text, this.value(start, depth + 1));
      } else at = nextItem(text, skipValue(text, start));
    }
    return at + 1;
  }

  #array(array: number, index: number, depth: number): number {
    const text = this.#text;
    let at = skipSpace(text, array + 1);
    for (let passed = 0; at < text.length && text.charCodeAt(at) !== closeBracket; passed++) {
      const end = passed === index ? this.value(at, depth + 1) : skipValue(text, at);
      at = nextItem(text, end);
    }
    return at + 1;
  }
}

/** The index that a step means in an array: numerals as JSON.stringify would write them; or -1. */
export function indexOf(step: string | number): number {
  if (typeof step === "number") return Number.isSafeInteger(step) ? step : -1;
  return /^(?:0|[1-9]\d{0,14})$/.test(step) ? Number(step) : -1;
}

/** Whether the key that is written from `open` to `end` is the wanted one. */
export function keyMatches(text: string, open: number, end: number, key: string): boolean {
  const length = end - open - 2;
  // A raw key that is as long as the wanted one and equal to it holds no escape, or none counts.
  if (length === key.length) return text.startsWith(key, open + 1) && !key.includes("\\");
  // Escapes make it longer, six times at most.
  if (length < key.length || length > 6 * key.length) return false;
  return keyOf(text, open, end) === key;
}

export function keyOf(text: string, open: number, end: number): string {
  const raw = text.slice(open + 1, end - 1);
  return raw.includes("\\") ? JSON.parse(text.slice(open, end)) : raw;
}

/** The text without the space between its values; only its beginning when it is longer than that. */
export function withoutSpace(text: JsonText, charsMax: number): string {
  let kept = "";
  for (let at = 0; at < text.length && kept.length <= charsMax; ) {
    const code = text.charCodeAt(at);
    const end = code === quote ? skipString(text, at) : at + 1;
    if (!isSpace(code)) kept += text.slice(at, end);
    at = end;
  }
  return kept;
}

function valueAfterKey(text: string, keyEnd: number): number {
  return skipSpace(text, skipSpace(text, keyEnd) + 1);
}

/** From the end of a value to the next one, or to the closing bracket. */
function nextItem(text: string, valueEnd: number): number {
  const at = skipSpace(text, valueEnd);
  return text.charCodeAt(at) === comma ? skipSpace(text, at + 1) : at;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === quote) return skipString(text, at);
  if (first === openBrace || first === openBracket) return skipNested(text, at);
  return skipScalar(text, at);
}

/** From the beginning of a number, true, false or null to its end. */
export function skipScalar(text: string, at: number): number {
  let end = at;
  while (end < text.length && !endsScalar(text.charCodeAt(end))) end++;
  return end;
}

function endsScalar(code: number): boolean {
  return code === comma || code === closeBrace || code === closeBracket || isSpace(code);
}

function skipNested(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = skipString(text, at) - 1;
    else if (code === openBrace || code === openBracket) depth++;
    else if (code === closeBrace || code === closeBracket) {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** From the opening quote to the position after the closing one. */
export function skipString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (close >= 0 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close < 0 ? text.length : close + 1;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before--;
  return (at - before) % 2 === 0;
}
