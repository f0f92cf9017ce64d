/**
 * How large the tasks of a queue were of late, so that a claim leases no more of them than fit the
 * answer that they are for: what does not fit was read and leased in vain, and goes back.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { limits } from "../../base/limits.ts";
import type { LeasedTask } from "../../store/store.ts";

/** Queues with tasks so large that claims take fewer of them. */
const largeQueuesKept = 1_000;

/** What a task takes of a poll's answer, as it is counted there. */
export function taskChars(task: Pick<LeasedTask, "parameters" | "header">): number {
  return task.parameters.length + task.header.length;
}

/** What a poll has room for. */
interface Taker {
  readonly roomChars: number;
  takes(queue: string): boolean;
}

/** As many as a poll may take of these fit its answer: they are not remembered. */
const smallCharsMax = Math.floor(limits.pollResponseBytesMax / limits.pollTasksMax);

const isLarge = (task: LeasedTask) => taskChars(task) > smallCharsMax;

export class TaskSizes {
  /** The queues whose tasks are large, with the size of the last ones on average. */
  readonly #large = new BoundedMap<string, number>(largeQueuesKept);

  /** Of one claim. In the usual case all are small, and were. */
  note(tasks: readonly LeasedTask[]): void {
    if (this.#large.size === 0 && !tasks.some(isLarge)) return;
    const seen = new Map<string, { chars: number; count: number }>();
    for (const task of tasks) {
      const { chars, count } = seen.get(task.queue) ?? { chars: 0, count: 0 };
      seen.set(task.queue, { chars: chars + taskChars(task), count: count + 1 });
    }
    for (const [queue, { chars, count }] of seen) this.#keep(queue, chars / count);
  }

  #keep(queue: string, chars: number): void {
    this.#large.delete(queue);
    if (chars <= smallCharsMax) return;
    this.#large.set(queue, chars);
  }

  /** How many tasks of its queues fit the room that a poll has. */
  fitting(poll: Taker): number {
    let largest = 1;
    for (const [queue, chars] of this.#large) {
      if (chars > largest && poll.takes(queue)) largest = chars;
    }
    return Math.floor(poll.roomChars / largest);
  }
}
