/**
 * Looks inside JSON text without parsing it: values are found as slices of the text, so whole
 * outputs and numbers beyond 2^53 pass exactly, and keys such as `__proto__` are plain data. The
 * text must be valid JSON; the scan relies on it.
 */
import type { JsonText } from "../model/json.ts";

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * The value at `path`, or undefined when there is none. Of a repeated key the last value counts, as
 * with JSON.parse. A number also names an object's key, and a numeral also indexes an array.
 */
export function pick(text: JsonText, path: readonly (string | number)[]): JsonText | undefined {
  let at = skipSpace(text, 0);
  for (const step of path) {
    const first = text.charCodeAt(at);
    if (first === openBrace) at = findMember(text, at, typeof step === "string" ? step : `${step}`);
    else if (first === openBracket) at = findElement(text, at, indexOf(step));
    else return undefined;
    if (at < 0) return undefined;
  }
  return text.slice(at, skipValue(text, at));
}

/** Members of an object in the order of the text, each key once; undefined for other values. */
export function memberTexts(text: JsonText): Map<string, JsonText> | undefined {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== openBrace) return undefined;
  const members = new Map<string, JsonText>();
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === quote) {
    const keyEnd = skipString(text, at);
    const start = valueAfterKey(text, keyEnd);
    const end = skipValue(text, start);
    members.set(keyOf(text, at, keyEnd), text.slice(start, end));
    at = nextItem(text, end);
  }
  return members;
}

/** Elements of an array; undefined for other values. */
export function elementTexts(text: JsonText): JsonText[] | undefined {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== openBracket) return undefined;
  const elements: JsonText[] = [];
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== closeBracket) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = nextItem(text, end);
  }
  return elements;
}

/**
 * Answers as `pick` does, and remembers what it has taken apart: for many looks into large texts,
 * each of which would otherwise read the text again.
 */
export class TextIndex {
  readonly #parts = new Map<JsonText, ReadonlyMap<string, JsonText> | readonly JsonText[]>();

  pick(text: JsonText, path: readonly (string | number)[]): JsonText | undefined {
    if (text.length < indexedCharsMin) return pick(text, path);
    let at: JsonText | undefined = text;
    for (const [passed, step] of path.entries()) {
      if (at.length < indexedCharsMin) return pick(at, path.slice(passed));
      const parts = this.#partsOf(at);
      at = parts instanceof Map ? parts.get(`${step}`) : (parts as JsonText[])[indexOf(step)];
      if (at === undefined) return undefined;
    }
    return at.trim();
  }

  #partsOf(text: JsonText): ReadonlyMap<string, JsonText> | readonly JsonText[] {
    let parts = this.#parts.get(text);
    if (parts === undefined) {
      parts = memberTexts(text) ?? elementTexts(text) ?? [];
      this.#parts.set(text, parts);
    }
    return parts;
  }
}

const indexedCharsMin = 4_096;

/** Where the value of the last member with this key begins, or -1. */
function findMember(text: string, object: number, key: string): number {
  let found = -1;
  let at = skipSpace(text, object + 1);
  while (text.charCodeAt(at) === quote) {
    const keyEnd = skipString(text, at);
    const start = valueAfterKey(text, keyEnd);
    if (keyMatches(text, at, keyEnd, key)) found = start;
    at = nextItem(text, skipValue(text, start));
  }
  return found;
}

/** Where the element begins, or -1. */
function findElement(text: string, array: number, index: number): number {
  if (index < 0) return -1;
  let at = skipSpace(text, array + 1);
  for (let passed = 0; at < text.length && text.charCodeAt(at) !== closeBracket; passed++) {
    if (passed === index) return at;
    at = nextItem(text, skipValue(text, at));
  }
  return -1;
}

/** The index that a step means in an array: numerals as JSON.stringify would write them; or -1. */
function indexOf(step: string | number): number {
  if (typeof step === "number") return Number.isSafeInteger(step) ? step : -1;
  return /^(?:0|[1-9]\d{0,14})$/.test(step) ? Number(step) : -1;
}

function keyMatches(text: string, open: number, end: number, key: string): boolean {
  // A raw key that is as long as the wanted one and equal to it holds no escape, or none counts.
  if (end - open - 2 === key.length && text.startsWith(key, open + 1)) {
    return !key.includes("\\");
  }
  if (end - open - 2 <= key.length) return false;
  const firstEscape = text.indexOf("\\", open + 1);
  return firstEscape >= 0 && firstEscape < end && keyOf(text, open, end) === key;
}

function keyOf(text: string, open: number, end: number): string {
  const raw = text.slice(open + 1, end - 1);
  return raw.includes("\\") ? JSON.parse(text.slice(open, end)) : raw;
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

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === quote) return skipString(text, at);
  if (first === openBrace || first === openBracket) return skipNested(text, at);
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
function skipString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (close >= 0 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close < 0 ? text.length : close + 1;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === backslash) before--;
  return (at - before) % 2 === 0;
}
