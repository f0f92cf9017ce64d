/**
 * One simulated process, from its start to its end: a clock, ids, and whether it runs. Whatever
 * reaches it while it is stopped waits until it goes on; what comes after its end is lost.
 */
import type { Clock, Ids } from "../../src/base/clock.ts";
import { Chance } from "../support/chance.ts";
import type { Loop } from "./loop.ts";

export class Process {
  readonly name: string;
  readonly chance: Chance;
  readonly clock: Clock;
  readonly ids: Ids;
  /** What its clock shows more than the true time. */
  clockErrorMs = 0;
  readonly #loop: Loop;
  #state: "running" | "stopped" | "ended" = "running";
  #waiting: (() => void)[] = [];
  #onEnd = new Set<() => void>();
  #idsMade = 0;

  constructor(loop: Loop, name: string) {
    this.#loop = loop;
    this.name = name;
    this.chance = new Chance(loop.chance.below(2 ** 31));
    const prefix = loop.chance
      .below(2 ** 31)
      .toString(16)
      .padStart(8, "0");
    const next = () => (++this.#idsMade).toString(16).padStart(12, "0");
    this.ids = {
      uuid: () => `${prefix}-0000-7000-8000-${next()}`,
      nonce: () => `${prefix}${next()}`,
    };
    this.clock = {
      now: () => loop.now + this.clockErrorMs,
      elapsed: () => loop.elapsed,
      after: (ms, callback) => loop.in(Math.max(1, ms), () => this.deliver(callback)),
      soon: (callback) => void loop.in(0, () => this.deliver(callback)),
    };
  }

  get hasEnded(): boolean {
    return this.#state === "ended";
  }

  get isStopped(): boolean {
    return this.#state === "stopped";
  }

  /** Something reaches the process now. */
  deliver(callback: () => void): void {
    if (this.#state === "running") callback();
    else if (this.#state === "stopped") this.#waiting.push(callback);
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.#state !== "running") return;
    this.#state = "stopped";
    this.#loop.note(`${this.name} stops`);
  }

  /** SIGCONT: everything that has come meanwhile is there at once. */
  goOn(): void {
    if (this.#state !== "stopped") return;
    this.#state = "running";
    this.#loop.note(`${this.name} goes on, ${this.#waiting.length} wait`);
    for (const callback of this.#waiting.splice(0)) {
      this.#loop.in(0, () => this.deliver(callback));
    }
  }

  /** kill -9: all that it knew is gone. */
  end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#waiting = [];
    this.#loop.note(`${this.name} ends`);
    for (const callback of this.#onEnd) callback();
  }

  /** Calls back at its end; answers a cancel. */
  onEnd(callback: () => void): () => void {
    this.#onEnd.add(callback);
    return () => this.#onEnd.delete(callback);
  }
}
