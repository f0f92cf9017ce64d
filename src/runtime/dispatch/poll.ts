/**
 * One poll while it waits: it collects tasks until it may answer: when its results are
 * settled and it has a task, when its time is up, or when its caller has gone.
 */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { isJsonQueueKey, plainQueueKey } from "../../model/ids.ts";
import type { LeasedTask } from "../../store/store.ts";
import { taskChars } from "./task-sizes.ts";

export interface PollOptions {
  /** Queue keys that it takes tasks from. */
  readonly queues: readonly string[];
  readonly tasksMax: number;
  readonly workerId: string;
  /**
   * How long it waits for a first task; zero: it takes what is there, as much as it has room for.
   */
  readonly waitMs: number;
  /** Longest silence for tasks that name none; 0: the worker does not heartbeat. */
  readonly heartbeatMs: number;
  /** Its answer carries parameters as `google.protobuf.Struct`, and nothing that fits none. */
  readonly structOnly?: boolean;
  /** Of the server's own worker. */
  readonly isInner?: boolean;
  readonly nonce: string;
  readonly clock: Clock;
  readonly onClosed: (poll: Poll) => void;
}

/** What a poll takes, and each of its queues besides the name. */
const pollBytes = 1_000;
const pairBytes = 200;

export class Poll {
  readonly queues: readonly string[];
  readonly queueSet: ReadonlySet<string>;
  readonly workerId: string;
  readonly heartbeatMs: number;
  readonly structOnly: boolean;
  readonly nonce: string;
  /** Places promised to tasks whose commit or claim is under way. */
  reserved = 0;
  /** What tasks that are promised to it will take of its answer, as far as it is known. */
  reservedChars = 0;
  /** A claim for this poll is under way. */
  filling = false;
  /** Of the server's own worker. */
  readonly isInner: boolean;
  /** Memory that its names take, here and where it waits in line for each of them. */
  readonly bytes: number;
  /** Resolves with what it collected, once. */
  readonly answered: Promise<readonly LeasedTask[]>;

  readonly #options: PollOptions;
  readonly #tasks: LeasedTask[] = [];
  #chars = 0;
  #open = true;
  #resultsOpen = false;
  #bringsResults = false;
  #undecided = 0;
  #waits = false;
  #hurried = false;
  #flushing = false;
  #resolve!: (tasks: readonly LeasedTask[]) => void;
  #cancelTimer: (() => void) | undefined;

  constructor(options: PollOptions) {
    this.#options = options;
    this.queues = options.queues;
    this.queueSet = new Set(options.queues);
    this.bytes = options.queues.reduce((sum, queue) => sum + pairBytes + queue.length, pollBytes);
    this.workerId = options.workerId;
    this.isInner = options.isInner ?? false;
    this.heartbeatMs = options.heartbeatMs;
    this.structOnly = options.structOnly ?? false;
    this.nonce = options.nonce;
    this.answered = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Whether it may be given tasks of this queue. */
  takes(queue: string): boolean {
    if (this.queueSet.has(queue)) return true;
    return !this.structOnly && isJsonQueueKey(queue) && this.queueSet.has(plainQueueKey(queue));
  }

  /** What is left of its answer. */
  get roomChars(): number {
    return limits.pollResponseBytesMax - this.#chars - this.reservedChars;
  }

  /** Whether a task so large can be promised a place: an empty answer has room for any. */
  fits(chars: number): boolean {
    const isEmpty = this.#tasks.length === 0 && this.reserved === 0;
    return this.room > 0 && (isEmpty || chars <= this.roomChars);
  }

  /** How many more tasks it takes. */
  get room(): number {
    if (!this.#open || this.roomChars <= 0) return 0;
    return Math.max(0, this.#options.tasksMax - this.#tasks.length - this.reserved);
  }

  /**
   * The same for tasks that do not follow from its results: a place is kept for each of them until
   * it is known what follows, as else those that must be loaded first would find none.
   */
  get spare(): number {
    return Math.max(0, this.room - this.#undecided);
  }

  /** False: it has answered already, or the task would make the answer too large. */
  add(task: LeasedTask): boolean {
    if (!this.#open || this.#tasks.length >= this.#options.tasksMax) return false;
    const chars = taskChars(task);
    if (this.#tasks.length > 0 && this.#chars + chars > limits.pollResponseBytesMax) {
      this.close();
      return false;
    }
    this.#tasks.push(task);
    this.#chars += chars;
    this.settle();
    return true;
  }

  /** While results are being settled it does not answer, but for its caller's going away. */
  awaitResults(count: number): void {
    this.#bringsResults = true;
    this.#resultsOpen = true;
    this.#undecided = count;
  }

  /** What follows from one of its results has its place, if anything follows. */
  resultDecided(): void {
    this.#undecided -= 1;
  }

  resultsSettled(options: { allAccepted: boolean }): void {
    this.#resultsOpen = false;
    this.#undecided = 0;
    if (options.allAccepted) this.settle();
    else this.close();
  }

  /** It brings no results, and has no time to wait. */
  get onlyLooks(): boolean {
    return this.#options.waitMs === 0 && !this.#bringsResults;
  }

  get empty(): boolean {
    return this.#open && this.#tasks.length === 0;
  }

  /** Whether more is to be claimed for it: a poll that could wait ends with what it has found. */
  get asksOn(): boolean {
    return this.empty || (this.#open && this.#options.waitMs === 0);
  }

  /** From now on it waits; without time to wait, only for claims that are under way. */
  startWaiting(): void {
    if (!this.#open) return;
    this.#waits = true;
    const { waitMs, clock } = this.#options;
    if (waitMs > 0) this.#cancelTimer = clock.after(waitMs, () => this.close());
    if (!this.filling) this.filled();
  }

  /** It has something to report besides tasks: it waits no longer. */
  hurry(): void {
    if (!this.#open) return;
    this.#hurried = true;
    if (!this.filling) this.filled();
  }

  /** No claim is under way: ends if it may, or if it does not wait for more. */
  filled(): void {
    this.settle();
    const isPatient = !this.#waits || (this.#options.waitMs > 0 && !this.#hurried);
    if (!isPatient && this.reserved === 0 && !this.#resultsOpen) this.close();
  }

  /** A promised place is not used: what it has collected may have waited only for that. */
  withdraw(chars: number): void {
    this.reserved -= 1;
    this.reservedChars -= chars;
    if (!this.filling) this.filled();
  }

  /** Ends soon if it may: after this turn's commits, which bring their tasks together. */
  settle(): void {
    if (this.#flushing || this.#resultsOpen || this.#tasks.length === 0) return;
    if (!this.#open || this.reserved > 0) return;
    this.#flushing = true;
    this.#options.clock.soon(() => {
      this.#flushing = false;
      if (!this.#resultsOpen && this.reserved === 0) this.close();
    });
  }

  /** Ends now with what it has. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cancelTimer?.();
    this.#options.onClosed(this);
    this.#resolve(this.#tasks);
  }
}
