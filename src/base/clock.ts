/**
 * Time and chance as arguments: the only place that reads the system clock or its random source.
 * Tests and the simulator pass their own.
 */

/** Time as an argument: the system's, or a test's own. Moments are milliseconds since the epoch. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Monotonic milliseconds; absent: `now` is never set either. */
  elapsed?(): number;
  /** Calls back once after `ms` (clamped by the caller to limits.sleepMsMax); returns a cancel. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back once, after what this turn of the event loop still has to do. */
  soon(callback: () => void): void;
}

/** Chance as an argument: the system's, or a test's own. */
export interface Ids {
  /** UUIDv7: time-ordered, for executions. */
  uuid(): string;
  /** Short random text (96 bits, URL-safe) for commit ids and lease tokens. */
  nonce(): string;
}

/** The clock of this machine; a monotonic one measures what `now` may jump over. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, callback) {
    const handle = setTimeout(callback, ms);
    return () => clearTimeout(handle);
  },
  soon: (callback) => void setImmediate(callback),
};

/**
 * The same clock, whose time never goes back, nor to before `reached`: while the machine's is
 * behind, it goes on by the time that passes. Where the machine's jumps ahead, it follows at once.
 */
export function neverBack(clock: Clock, reached = 0): Clock {
  const { elapsed } = clock;
  if (elapsed === undefined) return clock;
  let [time, at] = [reached, elapsed()];
  return {
    now() {
      const passed = elapsed();
      time = Math.max(clock.now(), time + (passed - at));
      at = passed;
      return Math.floor(time);
    },
    elapsed,
    after: (ms, callback) => clock.after(ms, callback),
    soon: (callback) => clock.soon(callback),
  };
}

/** Milliseconds of a clock that is never set, where there is one: how long something takes. */
export function elapsedOf(clock: Clock): number {
  return clock.elapsed?.() ?? clock.now();
}

/** What only asks for the time. */
export type Now = Pick<Clock, "now">;

/**
 * The time of `clock` now, which goes on by the time that passes: what is decided by it, in several
 * parts, is of one time even if the machine's clock is set or corrected in between.
 */
export function goOn(clock: Clock): Now {
  const { elapsed } = clock;
  if (elapsed === undefined) return clock;
  const [time, at] = [clock.now(), elapsed()];
  return { now: () => Math.floor(time + (elapsed() - at)) };
}

/** 96 bits are 16 characters without a rest: many nonces are made and encoded at once. */
const nonceChars = 16;
const noncesPerPool = 256;
let pool = "";
let poolUsed = 0;

function nonce(): string {
  if (poolUsed === pool.length) {
    const bytes = crypto.getRandomValues(Buffer.alloc(12 * noncesPerPool));
    pool = bytes.toString("base64url");
    poolUsed = 0;
  }
  poolUsed += nonceChars;
  return pool.slice(poolUsed - nonceChars, poolUsed);
}

export const systemIds: Ids = { uuid: () => Bun.randomUUIDv7(), nonce };

/** A wait that is over after its time, when its signal is aborted, or when somebody ends it. */
interface Wait {
  readonly over: Promise<void>;
  end(): void;
}

/** It leaves nothing at the clock, nor at the signal, which may outlive many waits. */
export function waitOf(ms: number, clock: Clock, signal?: AbortSignal): Wait {
  // The worker library runs in Node.js 20 too, which has no Promise.withResolvers.
  let resolve = () => {};
  const over = new Promise<void>((done) => {
    resolve = done;
  });
  const end = () => {
    cancel();
    signal?.removeEventListener("abort", end);
    resolve();
  };
  const cancel = clock.after(ms, end);
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  return { over, end };
}

/** Resolves after `ms` milliseconds of the clock, or, without an error, when the signal is aborted. */
export function pause(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  return waitOf(ms, clock, signal).over;
}

/** Waits for the work, or gives up waiting after the given time. */
export async function within(ms: number, work: Promise<unknown>, clock: Clock): Promise<void> {
  const { over, end } = waitOf(ms, clock);
  await Promise.race([work, over]).finally(end);
}
