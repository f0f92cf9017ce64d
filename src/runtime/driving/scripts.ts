/**
 * The scripts of one execution that are being evaluated. Those that were started by a decision not
 * yet committed are *fresh*: their outcome may still be folded into the same commit, and counts for
 * nothing if that decision is given up.
 */
import type { Clock } from "../../base/clock.ts";
import type { ScriptRequest } from "../../model/decision.ts";
import type { ExecutionEvent } from "../../model/event.ts";
import type { Execution } from "../../model/execution.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";

export class ScriptRunner {
  readonly #sandbox: Sandbox;
  readonly #clock: Clock;
  readonly #onOutcome: (event: ExecutionEvent) => void;
  readonly #onLost: () => void;
  readonly #running = new Map<number, AbortController>();
  readonly #fresh = new Set<number>();
  #wake: (() => void) | undefined;

  constructor(options: {
    readonly sandbox: Sandbox;
    readonly clock: Clock;
    readonly onOutcome: (event: ExecutionEvent) => void;
    /** A script will not answer any more. */
    readonly onLost: () => void;
  }) {
    this.#sandbox = options.sandbox;
    this.#clock = options.clock;
    this.#onOutcome = options.onOutcome;
    this.#onLost = options.onLost;
  }

  /** Whether it is evaluated here, or waits for a process of this server. */
  has(handout: number): boolean {
    return this.#running.has(handout);
  }

  get open(): number {
    return this.#running.size;
  }

  /** Fresh ones that are still running. */
  get fresh(): number {
    let count = 0;
    for (const handout of this.#fresh) if (this.#running.has(handout)) count += 1;
    return count;
  }

  run(requests: readonly ScriptRequest[]): void {
    for (const request of requests) {
      const { handout } = request;
      if (this.#running.has(handout)) continue;
      const abort = new AbortController();
      this.#running.set(handout, abort);
      this.#fresh.add(handout);
      // An abandoned script's hand-out may have been given to something else meanwhile.
      const isMeant = () => this.#running.get(handout) === abort && this.#running.delete(handout);
      this.#sandbox.evaluate(request, abort.signal).then(
        (outcome) => {
          if (isMeant()) this.#onOutcome({ type: "script", handout, outcome });
        },
        // The sandbox has ended, not the script: the timer that guards it has it run elsewhere.
        () => {
          if (isMeant()) this.#onLost();
        },
      );
    }
  }

  /** Resolves at the next `wake`, or after the given time. */
  async anything(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    cancel();
  }

  /** Mail has come. */
  wake(): void {
    this.#wake?.();
  }

  /** The commit holds: the outcome of what still runs comes later, as a separate event. */
  age(): void {
    this.#fresh.clear();
  }

  /** Forgets the scripts of a decision that was never committed; returns their numbers. */
  abandonFresh(): ReadonlySet<number> {
    const abandoned = new Set(this.#fresh);
    for (const handout of abandoned) this.#abort(handout);
    return abandoned;
  }

  /** Aborts those that the execution, as it was just read, does not wait for: others went on. */
  retain({ records }: Execution): void {
    if (this.#running.size === 0) return;
    const awaited = new Set(records.map((record) => record?.handout));
    for (const handout of [...this.#running.keys()]) {
      if (!awaited.has(handout)) this.#abort(handout);
    }
  }

  /** The execution has ended: none of their outcomes is needed. */
  abandonAll(): void {
    for (const handout of [...this.#running.keys()]) this.#abort(handout);
  }

  #abort(handout: number): void {
    const abort = this.#running.get(handout);
    this.#running.delete(handout);
    this.#fresh.delete(handout);
    abort?.abort();
  }
}
