/**
 * Which queues are thought to hold tasks, in which partitions and since when. Hints are only hints: a
 * lost one costs a sweep, a wrong one a claim that finds nothing.
 */
import { isJsonQueueKey } from "../../model/ids.ts";

export class Hints {
  readonly #queues = new Map<string, Map<number, number>>();
  readonly #jsonQueues = new Set<string>();

  /** Those whose tasks only polls that take JSON are given. */
  get jsonQueues(): ReadonlySet<string> {
    return this.#jsonQueues;
  }

  queues(): Iterable<string> {
    return this.#queues.keys();
  }

  has(queue: string): boolean {
    return this.#queues.has(queue);
  }

  since(queue: string, partition: number): number | undefined {
    return this.#queues.get(queue)?.get(partition);
  }

  partitions(queue: string): Iterable<number> {
    return this.#queues.get(queue)?.keys() ?? [];
  }

  /** One that is known stays as old as it is. */
  add(queue: string, partition: number, now: number): void {
    const partitions = this.#partitionsOf(queue);
    if (!partitions.has(partition)) partitions.set(partition, now);
  }

  renew(queue: string, partition: number, now: number): void {
    this.#partitionsOf(queue).set(partition, now);
  }

  remove(queue: string, partition: number): void {
    const partitions = this.#queues.get(queue);
    partitions?.delete(partition);
    if (partitions?.size === 0) this.removeAll(queue);
  }

  /** Returns where it was thought to hold something. */
  removeAll(queue: string): readonly number[] {
    const partitions = [...this.partitions(queue)];
    this.#queues.delete(queue);
    this.#jsonQueues.delete(queue);
    return partitions;
  }

  #partitionsOf(queue: string): Map<number, number> {
    let partitions = this.#queues.get(queue);
    if (partitions === undefined) {
      partitions = new Map();
      this.#queues.set(queue, partitions);
      if (isJsonQueueKey(queue)) this.#jsonQueues.add(queue);
    }
    return partitions;
  }
}
