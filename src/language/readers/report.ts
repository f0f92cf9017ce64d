/**
 * What a check finds: problems, which refuse a definition, and warnings, which do not. All are
 * gathered, up to a bound; beyond it the last one says how many more were found.
 */
import type { Problem } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { nearest } from "../../base/nearest.ts";
import type { Json } from "../../model/json.ts";
import { isExactNumber } from "../../model/numbers.ts";
import type { Reference } from "../data/reference.ts";

/** Problems for which the nearest of many names is suggested. */
const definitionHintsMax = 20;

/** Made only when it is reported: finding the nearest of 1,000 names takes time. */
type Message = string | (() => string);

class Findings {
  readonly #kept: Problem[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(pointer: string, message: Message): void {
    this.#count += 1;
    if (this.#kept.length === limits.definitionProblemsMax) return;
    this.#kept.push({ pointer, message: typeof message === "string" ? message : message() });
  }

  list(): readonly Problem[] {
    const untold = this.#count - limits.definitionProblemsMax;
    if (untold <= 0) return this.#kept;
    const message = `And ${untold + 1} more; they are reported once these are fixed.`;
    return [...this.#kept.slice(0, -1), { pointer: "", message }];
  }
}

/** A reference, and the string that holds it. */
export interface FoundReference {
  readonly pointer: string;
  readonly reference: Reference;
}

/** Something that servers of older formats do not know: see model/format.ts. */
export interface NewThing {
  /** Where the first one stands. */
  readonly pointer: string;
  /** For messages: `A reference with a filter`. */
  readonly what: string;
  /** The first format that has it. */
  readonly format: number;
}

/** Gathers the problems and warnings of one definition, up to a bound, with the nearest names. */
export class Report {
  /** What would be refused as unknown is only warned about, and dropped. */
  readonly lenient: boolean;
  readonly references: FoundReference[] = [];
  readonly scripts: { readonly pointer: string; readonly expression: string }[] = [];
  readonly workflows: { readonly pointer: string; readonly name: string }[] = [];
  readonly moments: { readonly pointer: string; readonly at: number }[] = [];
  /** Where the first number stands in a template that a double would round. */
  exactNumber: string | undefined;
  readonly #new = new Map<string, NewThing>();
  /** Reads an inline definition; set by the check, which knows how to read actions. */
  readInline: ((value: unknown, pointer: string) => Json | undefined) | undefined;
  /** References that were checked and are not kept. */
  #checked = 0;
  #hasTooMany = false;
  #longLooks = 0;
  readonly #problems = new Findings();
  readonly #warnings = new Findings();

  constructor(lenient: boolean) {
    this.lenient = lenient;
  }

  /** False once too many problems were found; the last one says so. */
  hasRoomForReferences(count: number, pointer: string): boolean {
    const most = limits.definitionReferencesMax;
    if (count === 0 || this.#checked + this.references.length + count <= most) return true;
    if (!this.#hasTooMany) {
      this.problem(pointer, `With this the definition has more than ${most} references.`);
      this.#hasTooMany = true;
    }
    return false;
  }

  /** Those after the first `kept` belong to a definition of their own, which has been checked. */
  forgetReferences(kept: number): void {
    this.#checked += this.references.length - kept;
    this.references.length = kept;
  }

  /** As `nearestHint`, for a list that may be long: only the first findings have it looked through. */
  hintAmongMany(name: string, known: readonly string[]): string {
    this.#longLooks += 1;
    return this.#longLooks > definitionHintsMax ? "" : nearestHint(name, known);
  }

  /** One of each is enough to know which servers can read the definition. */
  isNew(found: NewThing): void {
    if (!this.#new.has(found.what)) this.#new.set(found.what, found);
  }

  get newThings(): readonly NewThing[] {
    return [...this.#new.values()];
  }

  get failed(): boolean {
    return this.#problems.count > 0;
  }

  get problems(): readonly Problem[] {
    return this.#problems.list();
  }

  get warnings(): readonly Problem[] {
    return this.#warnings.list();
  }

  problem(pointer: string, message: Message): void {
    this.#problems.add(pointer, message);
  }

  warning(pointer: string, message: Message): void {
    this.#warnings.add(pointer, message);
  }

  /** For what old definitions may hold and new ones may not. */
  superfluous(pointer: string, message: Message): void {
    if (this.lenient) this.warning(pointer, message);
    else this.problem(pointer, message);
  }
}

/** Pointer of a member or an element. */
export function below(pointer: string, key: string | number): string {
  if (typeof key === "number") return `${pointer}/${key}`;
  return `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** A sentence part that names the nearest of some names; empty when none is near. */
export function nearestHint(name: string, known: readonly string[]): string {
  const found = nearest(name, known);
  return found === undefined ? "" : `; the nearest is ${quoted(found)}`;
}

/** The name in double quotes, cut where it is long. */
export function quoted(name: string | number): string {
  return JSON.stringify(typeof name === "string" ? cut(name) : name);
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** What stands where something else was expected, for a message. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (isExactNumber(value)) return cut(value.rawJSON);
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "string") return value === "" ? "an empty string" : quoted(value);
  return String(value).slice(0, 80);
}
