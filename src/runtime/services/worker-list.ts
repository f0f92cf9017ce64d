/**
 * Which workers poll this server, for what, and when last: for lists, and to know whether one that takes
 * JSON is there. It is kept in memory, and bounded in bytes. Workers that poll for the same share the
 * names; the longest unseen are forgotten first.
 */

import { hashText } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import type { PollRequest, WorkersView, WorkerView } from "../shared/orchestrator.ts";

type Named = Pick<PollRequest, "actions" | "queues" | "structOnly">;

interface Names extends Named {
  readonly hash: string;
  readonly bytes: number;
  workers: number;
}

interface Seen {
  at: number;
  /** The end of the longest attempt that it was given. */
  busyUntil: number;
}

/**
 * What a worker polls for, and when last; the longest unseen first. Some workers poll for each of
 * their actions by itself, and all legacy workers of an address count as one.
 */
type Polls = Map<Names, Seen>;

/** What an entry takes besides its texts; a text takes some room besides its characters. */
const entryBytes = 200;
const textBytes = 40;

export class WorkerList {
  /** By id; the longest unseen first. */
  readonly #workers = new Map<string, Polls>();
  readonly #names = new Map<string, Names>();
  #bytes = 0;

  /** Memory in use, as far as it is counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Without an id: all those that do not name themselves; they are not listed. */
  seen(id: string, named: Named, at: number): Seen {
    const polls: Polls = this.#workers.get(id) ?? new Map();
    const names = findSame(polls, named) ?? this.#share(named);
    const seen = polls.get(names) ?? { at, busyUntil: 0 };
    if (!polls.delete(names)) {
      names.workers += 1;
      this.#bytes += bytesOf(id);
    }
    seen.at = at;
    polls.set(names, seen);
    this.#workers.delete(id);
    this.#workers.set(id, polls);
    if (polls.size > limits.workerPollsMax) this.#forget(id, firstOf(polls));
    this.#forgetUnseen(id, at);
    for (const other of this.#workers.keys()) if (this.#forgetUnseen(other, at)) break;
    while (this.#bytes > limits.workersBytesMax) {
      const [oldest, its] = this.#workers.entries().next().value!;
      this.#forget(oldest, firstOf(its));
    }
    return seen;
  }

  /** When a worker that takes JSON last polled for this, one that is busy now included: now. */
  takerSeenAt(
    { queue, action }: { readonly queue: string; readonly action: string },
    now: number,
    isBusy: (id: string) => boolean,
  ): number {
    let latest = Number.NEGATIVE_INFINITY;
    for (const { id, at } of this.takersOf({ queue, action, isJson: true })) {
      const seenAt = isBusy(id) ? now : at;
      if (seenAt <= now) latest = Math.max(latest, seenAt);
    }
    return latest;
  }

  /** The workers that have polled for a queue, and when last. `isJson`: those that take JSON. */
  *takersOf(taken: {
    readonly queue: string;
    readonly action: string;
    readonly isJson: boolean;
  }): Generator<{ readonly id: string; readonly at: number }> {
    const fitting = new Set<Names>();
    for (const names of this.#names.values()) {
      const { actions, queues, structOnly } = names;
      if (structOnly && taken.isJson) continue;
      if (actions.includes(taken.action) && queues.includes(taken.queue)) fitting.add(names);
    }
    if (fitting.size === 0) return;
    for (const [id, polls] of this.#workers) {
      for (const [names, { at }] of polls) if (fitting.has(names)) yield { id, at };
    }
  }

  /** The latest first, as many as an answer can hold. */
  list(at: number): WorkersView {
    for (const id of this.#workers.keys()) this.#forgetUnseen(id, at);
    const from = at - limits.workerSeenMs;
    const listed = [...this.#workers].flatMap(([id, polls]) => {
      const recent = [...polls].filter(([, seen]) => seen.at >= from);
      return id === "" || recent.length === 0 ? [] : [{ id, recent }];
    });
    const workers: WorkerView[] = [];
    let bytes = 0;
    for (const { id, recent } of listed.reverse()) {
      const names = recent.map(([one]) => one);
      for (const one of names) bytes += bytesOf(id) + one.bytes;
      if (bytes > limits.workersListedBytesMax) break;
      const lastSeenAt = Math.max(...recent.map(([, seen]) => seen.at));
      workers.push({ id, ...merged(names), lastSeenAt });
    }
    return { workers, leftOut: listed.length - workers.length };
  }

  #share({ actions, queues, structOnly = false }: Named): Names {
    const hash = hashText(JSON.stringify([actions, queues, structOnly]));
    let names = this.#names.get(hash);
    if (names === undefined) {
      const bytes = [...actions, ...queues].reduce((sum, name) => sum + name.length + textBytes, 0);
      names = { actions, queues, structOnly, hash, bytes, workers: 0 };
      this.#names.set(hash, names);
      this.#bytes += bytes;
    }
    return names;
  }

  /** Whether anything of the worker is left. */
  #forgetUnseen(id: string, at: number): boolean {
    const polls = this.#workers.get(id);
    for (const [names, seen] of polls ?? []) {
      if (Math.max(seen.at + limits.workerSeenMs, seen.busyUntil) >= at) return true;
      this.#forget(id, names);
    }
    return false;
  }

  #forget(id: string, names: Names): void {
    const polls = this.#workers.get(id);
    if (!polls?.delete(names)) return;
    if (polls.size === 0) this.#workers.delete(id);
    this.#bytes -= bytesOf(id);
    names.workers -= 1;
    if (names.workers > 0) return;
    this.#names.delete(names.hash);
    this.#bytes -= names.bytes;
  }
}

function bytesOf(id: string): number {
  return entryBytes + id.length;
}

function firstOf(polls: Polls): Names {
  return polls.keys().next().value!;
}

function findSame(polls: Polls, named: Named): Names | undefined {
  for (const names of polls.keys()) if (isSame(names, named)) return names;
  return undefined;
}

function merged(all: readonly Named[]): Omit<Named, "structOnly"> {
  const [only] = all;
  if (only !== undefined && all.length === 1) return { actions: only.actions, queues: only.queues };
  const distinct = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())].sort();
  return {
    actions: distinct(all.map(({ actions }) => actions)),
    queues: distinct(all.map(({ queues }) => queues)),
  };
}

function isSame(one: Named, other: Named): boolean {
  if ((one.structOnly ?? false) !== (other.structOnly ?? false)) return false;
  return isSameList(one.actions, other.actions) && isSameList(one.queues, other.queues);
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
