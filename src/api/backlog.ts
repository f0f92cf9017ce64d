/**
 * What is held in memory for slow peers: bodies that have not wholly arrived, answers that have not
 * been taken. It is bounded in bytes and in time; beyond either, what has been held for the longest
 * is let go. A peer of ordinary speed is never that one.
 */
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";

export interface BacklogLimits {
  readonly bytesMax: number;
  readonly ageMs: number;
}

export interface Holding {
  /** So much is held now. Nothing, and its age begins anew. */
  set(bytes: number): void;
  /** It is over. A holding that was dropped is closed. */
  close(): void;
}

interface Held {
  isClosed: boolean;
  bytes: number;
  sinceMs: number;
  readonly drop: () => void;
}

export class Backlog {
  readonly #limits: BacklogLimits;
  readonly #clock: Clock;
  /** Those that hold something, the oldest first. */
  readonly #held = new Set<Held>();
  #bytes = 0;
  #looks = false;

  constructor(limits: BacklogLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `drop` lets go of what is held; it is called once at most, and never after `close`. */
  open(drop: () => void): Holding {
    const held: Held = { isClosed: false, bytes: 0, sinceMs: 0, drop };
    return {
      set: (bytes) => {
        if (held.isClosed) return;
        if (bytes <= 0) this.#remove(held);
        else this.#add(held, bytes);
      },
      close: () => this.#close(held),
    };
  }

  /** What `work` comes to; rejects with `refusal` when it takes too long while room is short. */
  async hold<T>(bytes: number, work: Promise<T>, refusal: () => Error): Promise<T> {
    const dropped = Promise.withResolvers<never>();
    const holding = this.open(() => dropped.reject(refusal()));
    holding.set(bytes);
    try {
      return await Promise.race([work, dropped.promise]);
    } finally {
      holding.close();
    }
  }

  #add(held: Held, bytes: number): void {
    if (held.bytes === 0) {
      held.sinceMs = this.#clock.now();
      this.#held.add(held);
      this.#watch();
    }
    this.#bytes += bytes - held.bytes;
    held.bytes = bytes;
    this.#dropWhile(() => this.#bytes > this.#limits.bytesMax);
  }

  #close(held: Held): void {
    held.isClosed = true;
    this.#remove(held);
  }

  #remove(held: Held): void {
    if (!this.#held.delete(held)) return;
    this.#bytes -= held.bytes;
    held.bytes = 0;
  }

  #dropWhile(isOver: (oldest: Held) => boolean): void {
    for (const oldest of this.#held) {
      if (!isOver(oldest)) return;
      this.#close(oldest);
      oldest.drop();
    }
  }

  /** One timer for all, and only while something is held. */
  #watch(): void {
    if (this.#looks) return;
    this.#looks = true;
    const [oldest] = this.#held;
    const { ageMs } = this.#limits;
    this.#clock.after(Math.max(1, oldest!.sinceMs + ageMs - this.#clock.now()), () => {
      this.#looks = false;
      this.#dropWhile(({ sinceMs }) => this.#clock.now() - sinceMs >= ageMs);
      if (this.#held.size > 0) this.#watch();
    });
  }
}

/** How many of something each holder has open. */
export class OpenCount {
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
  readonly answers: Backlog;
}

export function createBacklogs(clock: Clock): Backlogs {
  const { bodyBytesHeldMax, requestBodyMs, answerBytesHeldMax, answerMs } = limits;
  return {
    streams: new OpenCount(limits.eventStreamsPerKeyMax),
    bodies: new Backlog({ bytesMax: bodyBytesHeldMax, ageMs: requestBodyMs }, clock),
    answers: new Backlog({ bytesMax: answerBytesHeldMax, ageMs: answerMs }, clock),
  };
}
