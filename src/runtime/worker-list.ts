/**
 * Who polls this server for what, and when last: for lists only, so it is kept in memory, and bounded
 * in bytes. Workers that poll for the same share the names; the longest unseen are forgotten first.
 */
import { limits } from "../limits.ts";
import { hashText } from "./hash.ts";
import type { PollRequest, WorkersView, WorkerView } from "./orchestrator.ts";

type Named = Pick<PollRequest, "actions" | "queues">;

interface Names extends Named {
  readonly hash: string;
  readonly bytes: number;
  workers: number;
}

interface Worker {
  readonly names: Names;
  readonly lastSeenAt: number;
}

/** What an entry takes besides its texts; a text takes some room besides its characters. */
const entryBytes = 200;
const textBytes = 40;

export class WorkerList {
  /** By id; the longest unseen first. */
  readonly #workers = new Map<string, Worker>();
  readonly #names = new Map<string, Names>();
  #bytes = 0;

  /** Memory in use, as far as it is counted. */
  get bytes(): number {
    return this.#bytes;
  }

  seen(id: string, named: Named, at: number): void {
    const before = this.#workers.get(id);
    const names = before && isSame(before.names, named) ? before.names : this.#share(named);
    names.workers += 1;
    this.#forget(id);
    this.#workers.set(id, { names, lastSeenAt: at });
    this.#bytes += bytesOf(id);
    this.#forgetUnseen(at);
    while (this.#bytes > limits.workersBytesMax) this.#forget(this.#workers.keys().next().value!);
  }

  /** The latest first, as many as an answer can hold. */
  list(at: number): WorkersView {
    this.#forgetUnseen(at);
    const workers: WorkerView[] = [];
    let bytes = 0;
    for (const [id, { names, lastSeenAt }] of [...this.#workers].reverse()) {
      bytes += bytesOf(id) + names.bytes;
      if (bytes > limits.workersListedBytesMax) break;
      workers.push({ id, actions: names.actions, queues: names.queues, lastSeenAt });
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

  #forgetUnseen(at: number): void {
    for (const [id, { lastSeenAt }] of this.#workers) {
      if (lastSeenAt >= at - limits.workerSeenMs) return;
      this.#forget(id);
    }
  }

  #forget(id: string): void {
    const worker = this.#workers.get(id);
    if (worker === undefined) return;
    const { names } = worker;
    this.#workers.delete(id);
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

function isSame(one: Named, other: Named): boolean {
  return isSameList(one.actions, other.actions) && isSameList(one.queues, other.queues);
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
