/**
 * Scripts that wait for a process: by workflow in turn, and bounded. The bound is what this queue
 * says of its room; who gives it more is not refused.
 */
import { limits } from "../base/limits.ts";
import type { SandboxUnavailable } from "./sandbox.ts";
import { Turns } from "./turns.ts";

/** `ok` and output and perhaps route, or `error`, `limit` or `problem` and a message. */
export type Answer = readonly string[];

export interface Job {
  readonly group: string;
  readonly request: readonly string[];
  /** Memory that its texts take, at least. */
  readonly chars: number;
  /** Called once; undefined after that. */
  settle: ((answer: Answer | SandboxUnavailable) => void) | undefined;
  /** How many processes ended under it without being stopped. */
  losses: number;
}

export function settle(job: Job, answer: Answer | SandboxUnavailable): void {
  job.settle?.(answer);
  job.settle = undefined;
}

/** What waits for a process should not wait longer than this, as far as that can be foreseen. */
const queuedMs = 200;
/** Weight of one script in the mean time of all. */
const meanWeight = 0.05;

export class JobQueue {
  readonly #turns = new Turns<Job, Job>();
  /** Jobs that lost their process: they go first. */
  readonly #again: Job[] = [];
  #chars = 0;
  /** Of the scripts that ran lately. */
  #meanMs = queuedMs;

  get size(): number {
    return this.#turns.size + this.#again.length;
  }

  has(group: string): boolean {
    return this.#turns.has(group);
  }

  /**
   * How many more jobs of the group should be added for a number of processes. A full queue has
   * room for one of each group that has none in it: others cannot keep a group from taking its
   * turn.
   */
  room(group: string, processes: number): number {
    const { scriptsQueuedMin, scriptsQueuedMax, scriptQueueBytesMax } = limits;
    const foreseen = Math.floor(Math.min(queuedMs / this.#meanMs, scriptsQueuedMax));
    const free = Math.max(scriptsQueuedMin, foreseen) * processes - this.size;
    if (free > 0 && this.#chars < scriptQueueBytesMax) return free;
    if (this.has(group) || this.size >= scriptsQueuedMax * processes) return 0;
    return this.#chars < 2 * scriptQueueBytesMax ? 1 : 0;
  }

  add(job: Job): void {
    this.#turns.put(job.group, job, job);
    this.#chars += job.chars;
  }

  /** A job that had a process and lost it. */
  addAgain(job: Job): void {
    this.#again.push(job);
  }

  /** The next job that somebody still waits for. */
  take(): Job | undefined {
    for (let job = this.#again.shift(); job !== undefined; job = this.#again.shift()) {
      if (job.settle !== undefined) return job;
    }
    const job = this.#turns.take();
    if (job !== undefined) this.#chars -= job.chars;
    return job;
  }

  remove(job: Job): void {
    if (this.#turns.delete(job.group, job)) this.#chars -= job.chars;
  }

  refuse(refusal: SandboxUnavailable): void {
    for (let job = this.take(); job !== undefined; job = this.take()) settle(job, refusal);
  }

  /** A script has run for this long. */
  ran(ms: number): void {
    this.#meanMs += (ms - this.#meanMs) * meanWeight;
  }
}
