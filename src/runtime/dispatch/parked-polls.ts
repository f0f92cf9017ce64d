/**
 * The polls that wait here: by queue, the longest waiting first, by worker, and bounded in bytes.
 */
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { isJsonQueueKey, plainQueueKey } from "../../model/ids.ts";
import type { Poll } from "./poll.ts";

/** The polls that wait for tasks of a queue; the longest waiting first. */
interface Line {
  /** The one copy of the name. */
  readonly queue: string;
  readonly polls: Set<Poll>;
}

export class ParkedPolls {
  readonly #polls = new Set<Poll>();
  readonly #lines = new Map<string, Line>();
  readonly #byWorker = new Map<string, Set<Poll>>();
  #bytes = 0;
  #inner = 0;

  /** Those of the server itself among them. */
  get size(): number {
    return this.#polls.size;
  }

  /** Those of the server itself. */
  get inner(): number {
    return this.#inner;
  }

  /** Many polls name the same: the one copy of the name of a queue. */
  nameOf(queue: string): string {
    return this.#lines.get(queue)?.queue ?? queue;
  }

  /** Throws TOO_MANY when it would exceed the limits. */
  add(poll: Poll): void {
    this.#makeRoom(poll);
    this.#polls.add(poll);
    this.#bytes += poll.bytes;
    if (poll.isInner) this.#inner += 1;
    const own = this.#byWorker.get(poll.workerId);
    if (own === undefined) this.#byWorker.set(poll.workerId, new Set([poll]));
    else own.add(poll);
    for (const queue of poll.queues) {
      const line = this.#lines.get(queue);
      if (line === undefined) this.#lines.set(queue, { queue, polls: new Set([poll]) });
      else line.polls.add(poll);
    }
  }

  /**
   * Ends the largest polls, so that those that name few queues are not refused for those that name
   * many.
   */
  #makeRoom(poll: Poll): void {
    while (this.#bytes + poll.bytes > limits.parkedPollBytesMax) {
      let largest = poll;
      for (const other of this.#polls) if (other.bytes > largest.bytes) largest = other;
      if (largest === poll) {
        const message = "All waiting polls together name too many queues and actions. Name fewer.";
        throw new OrchyError("TOO_MANY", message);
      }
      largest.close();
    }
  }

  remove(poll: Poll): void {
    if (!this.#polls.delete(poll)) return;
    this.#bytes -= poll.bytes;
    if (poll.isInner) this.#inner -= 1;
    const own = this.#byWorker.get(poll.workerId);
    own?.delete(poll);
    if (own?.size === 0) this.#byWorker.delete(poll.workerId);
    for (const queue of poll.queues) {
      const line = this.#lines.get(queue);
      line?.polls.delete(poll);
      if (line?.polls.size === 0) this.#lines.delete(queue);
    }
  }

  /** Those that wait in line for a queue, whatever they take of it. */
  inLine(queue: string): ReadonlySet<Poll> | readonly Poll[] {
    return this.#lines.get(plainQueueKey(queue))?.polls ?? [];
  }

  /** Those that are given the tasks of a queue. */
  for(queue: string): Iterable<Poll> {
    const polls = this.inLine(queue);
    return isJsonQueueKey(queue) ? [...polls].filter((poll) => poll.takes(queue)) : polls;
  }

  isAnyInLine(queue: string): boolean {
    return this.#lines.has(plainQueueKey(queue));
  }

  /** The longest waiting one of a worker. */
  ofWorker(workerId: string): Poll | undefined {
    const [longest] = this.#byWorker.get(workerId) ?? [];
    return longest;
  }

  closeAll(): void {
    for (const poll of [...this.#polls]) poll.close();
  }
}
