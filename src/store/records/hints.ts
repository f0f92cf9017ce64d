/**
 * Hints: what they say, on which shelves they stand, and when one that leads to nothing may be struck.
 *
 * A hint is posted before the write that it is for, so whoever follows it may come too early. It says
 * the version that the record has after that write. A record that has reached the version has got the
 * write or never gets it: only then is a hint that leads to nothing certain to be outdated.
 */
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { Entry, Place, Shelf } from "./driver.ts";

interface Hint {
  readonly id: string;
  /** Of a task in a row; absent: what it is for stands in the head. */
  readonly taskId?: string;
  /** Of the record with the write that the hint is for. */
  readonly version: number;
  /** Of a creation: the commit id, with which the names of its parts begin. */
  readonly createdBy?: string;
  /** Of one that was moved: its first moment. */
  readonly since?: number;
}

export interface PostedHint extends Hint {
  readonly place: Place;
}

export interface NewHint {
  readonly shelf: Shelf;
  readonly entry: Entry;
}

export interface HintPlace {
  readonly shelf: Shelf;
  readonly place: Place;
}

/** A write that has not come by then is made impossible. */
const underWayMs = 30_000;
/** A creation that has not come by then never will. */
const createdWithinMs = 3_600_000;
/** Most that a hint of a creation that has not come is put off. */
const putOffMsMax = 600_000;

type Verdict =
  /** It is outdated. */
  | "strike"
  /** The write may be under way. */
  | "wait"
  /** So it may be, but for too long: raise the version, then strike. */
  | "fence"
  /** The creation may be under way for long: move the hint to a later moment. */
  | "put off"
  /** The creation never comes: delete its parts, then strike. */
  | "bury";

/** Of a hint that leads to nothing; the version is that of the record, undefined: there is none. */
export function verdictOn(hint: Hint, version: number | undefined, now: number): Verdict {
  const age = now - hint.version;
  if (version !== undefined && version >= hint.version) return "strike";
  if (age < underWayMs) return "wait";
  if (version !== undefined) return "fence";
  return age < createdWithinMs ? "put off" : "bury";
}

export function putOffUntil({ version }: Hint, now: number): number {
  return now + Math.min(now - version, putOffMsMax);
}

// Shelves

export function dueShelf(partition: number): Shelf {
  return { partition, kind: "work", name: "due" };
}

export function outboxShelf(partition: number): Shelf {
  return { partition, kind: "work", name: "outbox" };
}

export interface QueueShelf {
  readonly queue: string;
  readonly priority: number;
}

export function queueShelf(partition: number, { queue, priority }: QueueShelf): Shelf {
  return { partition, kind: "work", name: `queue/${priority}/${queue}` };
}

/** Which queues there are. */
export function queuesShelf(partition: number): Shelf {
  return { partition, kind: "list", name: "queues" };
}

// Entries

interface HintCode {
  readonly e: string;
  readonly v: number;
  readonly t?: string;
  readonly c?: string;
  readonly s?: number;
}

export function hintBody({ id, taskId, version, createdBy, since }: Hint): string {
  return JSON.stringify({ e: id, v: version, ...defined({ t: taskId, c: createdBy, s: since }) });
}

export function readHint({ place, body }: Entry): PostedHint {
  const { e, v, t, c, s } = JSON.parse(body) as HintCode;
  return { id: e, version: v, place, ...defined({ taskId: t, createdBy: c, since: s }) };
}

/** Hints of one execution that are followed by one change. */
const followedTogether = 25;

/** By execution, in the order of the first hint of each. */
export function byExecution(hints: readonly PostedHint[]): readonly (readonly PostedHint[])[] {
  return [...Map.groupBy(hints, ({ id }) => id).values()].flatMap((some) => {
    const count = Math.ceil(some.length / followedTogether);
    return Array.from({ length: count }, (_, i) =>
      some.slice(i * followedTogether, (i + 1) * followedTogether),
    );
  });
}

/** Ids of the tasks in rows to which they lead, each once. */
export function rowsOf(hints: readonly PostedHint[]): string[] {
  return [...new Set(hints.flatMap(({ taskId }) => taskId ?? []))];
}

export function keyOf(partition: number, { id }: Hint): ExecutionKey {
  return { partition, id };
}

/**
 * Ids of places, and ends of names of parts: each is used once, those of one process in their order.
 */
export class PlaceIds {
  readonly #nonce: string;
  #count = 0;

  /** `nonce`: of this process, at random. */
  constructor(nonce: string) {
    this.#nonce = nonce;
  }

  next(): string {
    this.#count += 1;
    return `${this.#count.toString(36).padStart(8, "0")}.${this.#nonce}`;
  }
}
