/** Work that a server does again and again, with a rest in between. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "./faults.ts";

interface RoundsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Resolves with the milliseconds of the rest after it. */
  readonly round: () => Promise<number>;
  /** The rest after a round that failed, which is logged under `failure`. */
  readonly failedRestMs: number;
  readonly failure: string;
}

export class Rounds {
  readonly #options: RoundsOptions;
  #isRunning = false;
  #cancel: (() => void) | undefined;
  #current: Promise<void> = Promise.resolve();

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** False after a stop: long rounds look at it. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** The first round comes after a rest. */
  start(restMs: number): void {
    this.#isRunning = true;
    this.#rest(restMs);
  }

  /** Resolves when the round that is under way has ended. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancel?.();
    await this.#current;
  }

  #rest(ms: number): void {
    if (!this.#isRunning) return;
    const { clock, log, round, failedRestMs, failure } = this.#options;
    this.#cancel = clock.after(ms, () => {
      this.#current = round()
        .catch((error) => {
          logFault(log, failure, error);
          return failedRestMs;
        })
        .then((restMs) => this.#rest(restMs));
    });
  }
}
