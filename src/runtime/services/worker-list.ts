/**
 * List workers that poll this server: for lists only, so it is kept in memory, and bounded
 * in bytes. Workers that poll for the same share the names; the longest unseen are forgotten first.
 */
import { limits } from "../../base/limits.ts";
import { hashText } from "../shared/hash.ts";
import type { PollRequest, WorkersView, WorkerView } from "../shared/orchestrator.ts";

type Named = Pick<PollRequest, "actions" | "queues">;

interface Names extends Named {
  readonly hash: string;
  readonly bytes: number;
  workers: number;
}

/**
 * What a worker polls for, and when last; the longest unseen first. Some workers poll for each of
 * their actions by itself, and all original workers of an address count as one.
 */
type Polls = Map<Names, number>;

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

  seen(id: string, named: Named, at: number): void {
    const polls: Polls = this.#workers.get(id) ?? new Map();
    const names = findSame(polls, named) ?? this.#share(named);
    if (!polls.delete(names)) {
      names.workers += 1;
      this.#bytes += bytesOf(id);
    }
    polls.set(names, at);
    this.#workers.delete(id);
    this.#workers.set(id, polls);
    if (polls.size > limits.workerPollsMax) this.#forget(id, firstOf(polls));
    this.#forgetUnseen(id, at);
    for (const other of this.#workers.keys()) if (this.#forgetUnseen(other, at)) break;
    while (this.#bytes > limits.workersBytesMax) {
      const [oldest, its] = this.#workers.entries().next().value!;
      this.#forget(oldest, firstOf(its));
    }
  }

  /** The latest first, as many as an answer can hold. */
  list(at: number): WorkersView {
    for (const id of this.#workers.keys()) this.#forgetUnseen(id, at);
    const workers: WorkerView[] = [];
    let bytes = 0;
    for (const [id, polls] of [...this.#workers].reverse()) {
      for (const names of polls.keys()) bytes += bytesOf(id) + names.bytes;
      if (bytes > limits.workersListedBytesMax) break;
      workers.push({ id, ...merged([...polls.keys()]), lastSeenAt: Math.max(...polls.values()) });
    }
    return { workers, leftOut: this.#workers.size - workers.length };
  }

  #share({ actions, queues }: Named): Names {
    const hash = hashText(JSON.stringify([actions, queues]));
    let names = this.#names.get(hash);
    if (names === undefined) {
      const bytes = [...actions, ...queues].reduce((sum, name) => sum + name.length + textBytes, 0);
      names = { actions, queues, hash, bytes, workers: 0 };
      this.#names.set(hash, names);
      this.#bytes += bytes;
    }
    return names;
  }

  /** Whether anything of the worker is left. */
  #forgetUnseen(id: string, at: number): boolean {
    const polls = this.#workers.get(id);
    for (const [names, lastSeenAt] of polls ?? []) {
      if (lastSeenAt >= at - limits.workerSeenMs) return true;
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

function merged(all: readonly Named[]): Named {
  const [only] = all;
  if (only !== undefined && all.length === 1) return { actions: only.actions, queues: only.queues };
  const distinct = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())].sort();
  return {
    actions: distinct(all.map(({ actions }) => actions)),
    queues: distinct(all.map(({ queues }) => queues)),
  };
}

function isSame(one: Named, other: Named): boolean {
  return isSameList(one.actions, other.actions) && isSameList(one.queues, other.queues);
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
