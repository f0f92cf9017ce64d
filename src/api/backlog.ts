/**
 * What is kept in memory for slow peers: bodies that have not wholly arrived, answers that have not
 * been taken. It is bounded in bytes and in time; beyond either, what has been kept for the longest
 * is let go. A peer of ordinary speed is never that one.
 */
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";

interface BacklogLimits {
  readonly bytesMax: number;
  readonly ageMs: number;
}

export interface BacklogEntry {
  /** So much is kept now. Nothing, and its age begins anew. */
  set(bytes: number): void;
  /** It is over. An entry that was dropped is closed. */
  close(): void;
}

interface Kept {
  isClosed: boolean;
  bytes: number;
  sinceMs: number;
  readonly drop: () => void;
}

export class Backlog {
  readonly #limits: BacklogLimits;
  readonly #clock: Clock;
  /** Those that keep something, the oldest first. */
  readonly #kept = new Set<Kept>();
  #bytes = 0;
  #looks = false;

  constructor(limits: BacklogLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `drop` lets go of what is kept; it is called once at most, and never after `close`. */
  open(drop: () => void): BacklogEntry {
    const one: Kept = { isClosed: false, bytes: 0, sinceMs: 0, drop };
    return {
      set: (bytes) => {
        if (one.isClosed) return;
        if (bytes <= 0) this.#remove(one);
        else this.#add(one, bytes);
      },
      close: () => this.#close(one),
    };
  }

  /** What `work` comes to; rejects with `refusal` when it takes too long while room is short. */
  async keepDuring<T>(bytes: number, work: Promise<T>, refusal: () => Error): Promise<T> {
    const dropped = Promise.withResolvers<never>();
    const entry = this.open(() => dropped.reject(refusal()));
    entry.set(bytes);
    try {
      return await Promise.race([work, dropped.promise]);
    } finally {
      entry.close();
    }
  }

  #add(one: Kept, bytes: number): void {
    if (one.bytes === 0) {
      one.sinceMs = this.#clock.now();
      this.#kept.add(one);
      this.#watch();
    }
    this.#bytes += bytes - one.bytes;
    one.bytes = bytes;
    this.#dropWhile(() => this.#bytes > this.#limits.bytesMax);
  }

  #close(one: Kept): void {
    one.isClosed = true;
    this.#remove(one);
  }

  #remove(one: Kept): void {
    if (!this.#kept.delete(one)) return;
    this.#bytes -= one.bytes;
    one.bytes = 0;
  }

  #dropWhile(isOver: (oldest: Kept) => boolean): void {
    for (const oldest of this.#kept) {
      if (!isOver(oldest)) return;
      this.#close(oldest);
      oldest.drop();
    }
  }

  /** One timer for all, and only while something is kept. */
  #watch(): void {
    if (this.#looks) return;
    this.#looks = true;
    const [oldest] = this.#kept;
    const { ageMs } = this.#limits;
    this.#clock.after(Math.max(1, oldest!.sinceMs + ageMs - this.#clock.now()), () => {
      this.#looks = false;
      this.#dropWhile(({ sinceMs }) => this.#clock.now() - sinceMs >= ageMs);
      if (this.#kept.size > 0) this.#watch();
    });
  }
}

/** How many of something each holder has open. */
class OpenCount {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Returns what closes it, once; undefined: the holder has as many as it may. */
  open(holder: string): (() => void) | undefined {
    const count = this.#open.get(holder) ?? 0;
    if (count >= this.#max) return undefined;
    this.#open.set(holder, count + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = this.#open.get(holder)! - 1;
      if (left > 0) this.#open.set(holder, left);
      else this.#open.delete(holder);
    };
  }
}

/** What all edges of a server share. */
export interface Backlogs {
  /** Event streams by the id of the key that opened them; "" without a key. */
  readonly streams: OpenCount;
  readonly bodies: Backlog;
  readonly responses: Backlog;
}

export function createBacklogs(clock: Clock): Backlogs {
  const { bodyBacklogBytesMax, requestBodyMs, responseBacklogBytesMax, responseMs } = limits;
  return {
    streams: new OpenCount(limits.eventStreamsPerKeyMax),
    bodies: new Backlog({ bytesMax: bodyBacklogBytesMax, ageMs: requestBodyMs }, clock),
    responses: new Backlog({ bytesMax: responseBacklogBytesMax, ageMs: responseMs }, clock),
  };
}
