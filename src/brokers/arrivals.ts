/** Messages that a broker has pushed, until they are asked for: bounded, in the order of arrival. */
import { type Clock, waitOf } from "../base/clock.ts";
import type { BrokerFault, IncomingMessage, ReceiveOptions } from "./message.ts";

interface ArrivalsOptions {
  readonly clock: Clock;
  readonly max: number;
  readonly bytesMax: number;
  /** No more than `max` wait, and not many more bytes than `bytesMax`: the broker is to stop, and to go on once half of them are gone. */
  readonly onFull: () => void;
  readonly onRoom: () => void;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  #messages: IncomingMessage[] = [];
  #bytes = 0;
  #isFull = false;
  #isClosed = false;
  /** Of the last failure, until the broker is there again. */
  #fault: BrokerFault | undefined;
  #isFaultTaken = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  add(message: IncomingMessage): void {
    this.recover();
    this.#messages.push(message);
    this.#bytes += message.body.length;
    const { max, bytesMax } = this.#options;
    if (!this.#isFull && (this.#messages.length >= max || this.#bytes >= bytesMax)) {
      this.#isFull = true;
      this.#options.onFull();
    }
    this.#wakeAll();
  }

  putBack(messages: readonly IncomingMessage[]): void {
    this.#messages.unshift(...messages);
    this.#bytes += sizeOf(messages);
    this.#wakeAll();
  }

  drop(isGone: (message: IncomingMessage) => boolean): void {
    this.#messages = this.#messages.filter((message) => !isGone(message));
    this.#bytes = sizeOf(this.#messages);
    this.#tellRoom();
  }

  /** A new consumer starts with nothing, and is not paused. */
  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
    this.#isFull = false;
  }

  fail(fault: BrokerFault): void {
    this.#fault = fault;
    this.#isFaultTaken = false;
    this.#wakeAll();
  }

  /** The broker is there: those who wait need not wait any longer to learn it. */
  recover(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#wakeAll();
  }

  close(): void {
    this.#isClosed = true;
    this.#wakeAll();
  }

  /** Throws a failure at once, and then, while the broker stays away, at the end of each wait. */
  async take({ limit, waitMs, signal }: ReceiveOptions): Promise<readonly IncomingMessage[]> {
    const hasNews = this.#fault !== undefined && !this.#isFaultTaken;
    if (this.#messages.length === 0 && !hasNews) await this.#some(waitMs, signal);
    const taken = this.#messages.splice(0, limit);
    this.#bytes -= sizeOf(taken);
    this.#tellRoom();
    const fault = this.#fault;
    if (taken.length > 0 || fault === undefined || this.#isClosed) return taken;
    this.#isFaultTaken = true;
    throw fault;
  }

  async #some(waitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isClosed) return;
    const { over, end } = waitOf(waitMs, this.#options.clock, signal);
    this.#waiting.add(end);
    await over;
    this.#waiting.delete(end);
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  #tellRoom(): void {
    const { max, bytesMax } = this.#options;
    const isHalfFull = this.#messages.length > max / 2 || this.#bytes > bytesMax / 2;
    if (!this.#isFull || isHalfFull) return;
    this.#isFull = false;
    this.#options.onRoom();
  }
}

function sizeOf(messages: readonly IncomingMessage[]): number {
  return messages.reduce((sum, { body }) => sum + body.length, 0);
}
