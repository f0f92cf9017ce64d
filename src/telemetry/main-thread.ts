/**
 * Watches for what blocks the main thread: everything else waits meanwhile. What may take long
 * measures itself and says what it is; a timer that fires late finds the rest.
 */
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "./log.ts";

/** Time between two lines in the log about operations that blocked the main thread. */
export const mainThreadLogMs = 1_000;

/** `other`: nothing has measured it, or the machine gave the process no CPU time. */
type BlockKind = "execution" | "request" | "other";

interface MainThreadOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onBlocked: (kind: BlockKind, ms: number) => void;
  readonly onLate: (ms: number) => void;
}

const probeMs = limits.mainThreadMs / 2;
const windowMs = 60_000;

export class MainThread {
  #options: MainThreadOptions | undefined;
  /** What was measured last. */
  #last: string | undefined;
  /** What was reported since the last probe. */
  #reportedMs = 0;
  /** When the next line may be logged, and how many were not: of blocks with and without a name. */
  readonly #named = { at: 0, unlogged: 0 };
  readonly #unnamed = { at: 0, unlogged: 0 };
  #longest = { ms: 0, before: 0, until: 0 };

  /** Begins to watch; returns how to stop. */
  watch(options: MainThreadOptions): () => void {
    this.#options = options;
    let cancel: () => void;
    const next = () => {
      const due = performance.now() + probeMs;
      cancel = options.clock.after(probeMs, () => {
        this.#probed(Math.max(0, performance.now() - due));
        next();
      });
    };
    next();
    return () => {
      this.#options = undefined;
      cancel();
    };
  }

  /**
   * Something that began at `startedAt` (of `performance.now()`) and did not wait has ended.
   * `name`: an execution's id, or a route.
   */
  ran(kind: Exclude<BlockKind, "other">, name: string, startedAt: number): void {
    this.#last = name;
    const ms = performance.now() - startedAt;
    if (ms < limits.mainThreadMs) return;
    this.#reportedMs += ms;
    this.#blocked(kind, name, ms);
  }

  /** Seconds of the longest one within the last one to two minutes. */
  longestSeconds(): number {
    this.#turnWindow();
    return Math.max(this.#longest.ms, this.#longest.before) / 1000;
  }

  #probed(lateMs: number): void {
    this.#options?.onLate(lateMs);
    if (lateMs - this.#reportedMs >= limits.mainThreadMs)
      this.#blocked("other", this.#last, lateMs);
    this.#reportedMs = 0;
  }

  #blocked(kind: BlockKind, name: string | undefined, ms: number): void {
    if (this.#options === undefined) return;
    const { clock, log, onBlocked } = this.#options;
    onBlocked(kind, ms);
    this.#turnWindow();
    this.#longest.ms = Math.max(this.#longest.ms, ms);
    const next = kind === "other" ? this.#unnamed : this.#named;
    if (clock.now() < next.at) {
      next.unlogged += 1;
      return;
    }
    const message = "the main thread was blocked";
    const what = { ms: Math.round(ms), ...(next.unlogged > 0 && { before: next.unlogged }) };
    // An unmeasured one is seldom the fault of what was measured before it, so it is no warning.
    if (kind === "other") log.info(message, { kind, after: name, ...what });
    else log.warn(message, { kind, name, ...what });
    next.at = clock.now() + mainThreadLogMs;
    next.unlogged = 0;
  }

  #turnWindow(): void {
    const now = performance.now();
    const { ms, until } = this.#longest;
    if (now < until) return;
    this.#longest = { ms: 0, before: now < until + windowMs ? ms : 0, until: now + windowMs };
  }
}
