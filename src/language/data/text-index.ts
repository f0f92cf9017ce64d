/**
 * The structure of a JSON text: it is read once, and then any number of paths are followed without
 * reading it again. Values have numbers in the order of the text; those inside a value come right
 * after it. The text must be valid JSON.
 */

import {
  closeBrace,
  closeBracket,
  colon,
  comma,
  openBrace,
  openBracket,
  quote,
} from "../../base/json-characters.ts";
import type { JsonText } from "../../model/json.ts";
import { indexOf, isSpace, keyMatches, keyOf, skipScalar, skipString } from "./json-text.ts";
import type { Work } from "./work.ts";

type Step = string | number;

/** What is kept of a value, one number each, in a row. */
const startOf = 0;
const endOf = 1;
/** Number of the first value that is not inside. */
const nextOf = 2;
/** Where a member's key begins; -1 for elements. */
const keyAt = 3;
const width = 4;

/** What is so short is looked through each time: its parts are not kept. */
const shortChars = 512;

/** The index of one JSON text, made at once; what it reads counts as work. */
export class TextIndex {
  readonly #text: JsonText;
  readonly #work: Work;
  readonly #values: Int32Array;
  /** By number of the value: 1 where a child was looked for once. */
  readonly #looked: Uint8Array;
  /** Members by key, or elements, of what was looked into more often. */
  readonly #parts = new Map<number, ReadonlyMap<string, number> | readonly number[]>();

  constructor(text: JsonText, work: Work) {
    this.#text = text;
    this.#work = work;
    work.readText(text);
    this.#values = readValues(text);
    this.#looked = new Uint8Array(this.#values.length / width);
  }

  isArray(value: number): boolean {
    return this.#text.charCodeAt(this.#values[value * width + startOf]!) === openBracket;
  }

  /** Whether only a comma is between two values. */
  isBefore(value: number, next: number): boolean {
    return this.#values[next * width + startOf] === this.#values[value * width + endOf]! + 1;
  }

  /** From the beginning of a value to its end, or to that of another. */
  textOf(value: number, last = value): JsonText {
    return this.#text.slice(
      this.#values[value * width + startOf]!,
      this.#values[last * width + endOf]!,
    );
  }

  /** As `pick` of the whole text does. */
  pick(path: readonly Step[]): JsonText | undefined {
    let value = 0;
    for (const step of path) {
      value = this.child(value, step);
      if (value < 0) return undefined;
    }
    return this.textOf(value);
  }

  /** Number of the last member with this key, or of the element with this index; or -1. */
  child(value: number, step: Step): number {
    this.#work.lookAt(1);
    if (this.#values[value * width + nextOf] === value + 1) return -1;
    if (this.#looked[value] === 0 || this.#isShort(value)) {
      this.#looked[value] = 1;
      return this.isArray(value) ? this.#element(value, indexOf(step)) : this.#member(value, step);
    }
    const parts = this.#parts.get(value) ?? this.#makeParts(value);
    return (parts instanceof Map ? parts.get(`${step}`) : (parts as number[])[indexOf(step)]) ?? -1;
  }

  #isShort(value: number): boolean {
    const at = value * width;
    return this.#values[at + endOf]! - this.#values[at + startOf]! <= shortChars;
  }

  #makeParts(value: number): ReadonlyMap<string, number> | readonly number[] {
    const parts = this.isArray(value) ? this.#inside(value) : this.#members(value);
    this.#parts.set(value, parts);
    return parts;
  }

  #member(object: number, step: Step): number {
    const key = `${step}`;
    let found = -1;
    for (const member of this.#inside(object)) {
      const open = this.#values[member * width + keyAt]!;
      if (keyMatches(this.#text, open, skipString(this.#text, open), key)) found = member;
    }
    return found;
  }

  #element(array: number, index: number): number {
    return this.#inside(array)[index] ?? -1;
  }

  /** Members, each key once, or elements. */
  children(value: number): readonly number[] {
    const inside = this.#inside(value);
    if (inside.length < 2 || this.isArray(value)) return inside;
    const members = this.#members(value);
    return members.size === inside.length ? inside : [...members.values()];
  }

  #members(object: number): ReadonlyMap<string, number> {
    const members = new Map<string, number>();
    const inside = this.#inside(object);
    // To put a key in a map takes as long as to look at some values.
    this.#work.lookAt(3 * inside.length);
    for (const member of inside) {
      const open = this.#values[member * width + keyAt]!;
      members.set(keyOf(this.#text, open, skipString(this.#text, open)), member);
    }
    return members;
  }

  /** All values directly inside, those under repeated keys too. */
  #inside(value: number): number[] {
    const found: number[] = [];
    const end = this.#values[value * width + nextOf]!;
    for (let at = value + 1; at < end; at = this.#values[at * width + nextOf]!) found.push(at);
    this.#work.lookAt(found.length);
    return found;
  }
}

function readValues(text: JsonText): Int32Array {
  let values: Int32Array = new Int32Array(width * 64);
  let length = 0;
  /** Where the containers that are open stand in `values`, and whether the innermost is an object. */
  const open: number[] = [];
  let inObject = false;
  let key = -1;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === comma || code === colon || isSpace(code)) {
      at++;
    } else if (code === closeBrace || code === closeBracket) {
      at++;
      const container = open.pop()!;
      values[container + endOf] = at;
      values[container + nextOf] = length / width;
      const around = open.at(-1);
      inObject = around !== undefined && text.charCodeAt(values[around]!) === openBrace;
    } else if (code === quote && inObject && key < 0) {
      key = at;
      at = skipString(text, at);
    } else {
      if (length === values.length) values = grown(values);
      values[length + startOf] = at;
      values[length + keyAt] = key;
      key = -1;
      if (code === openBrace || code === openBracket) {
        open.push(length);
        inObject = code === openBrace;
        at++;
      } else {
        at = code === quote ? skipString(text, at) : skipScalar(text, at);
        values[length + endOf] = at;
        values[length + nextOf] = length / width + 1;
      }
      length += width;
    }
  }
  return values;
}

function grown(values: Int32Array): Int32Array {
  const more = new Int32Array(values.length * 2);
  more.set(values);
  return more;
}

/** Fewer looks into a text do not repay indexing it. */
const indexedLooksMin = 4;

/** Of the names of the texts that are looked into, those that are there so often. */
export function namesToIndex(looks: readonly string[]): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const name of looks) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Set([...counts.keys()].filter((name) => counts.get(name)! >= indexedLooksMin));
}

/** Indexes of the texts with these names, each made when it is first needed. */
export class TextIndexes {
  static readonly none = new TextIndexes(new Set());

  readonly #names: ReadonlySet<string>;
  readonly #made = new Map<string, TextIndex>();

  constructor(names: ReadonlySet<string>) {
    this.#names = names;
  }

  keeps(name: string): boolean {
    return this.#names.has(name);
  }

  of(name: string, text: JsonText, work: Work): TextIndex {
    let index = this.#made.get(name);
    if (index !== undefined) return index;
    index = new TextIndex(text, work);
    if (this.keeps(name)) this.#made.set(name, index);
    return index;
  }
}
