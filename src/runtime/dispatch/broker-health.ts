/**
 * Whether the broker of the task queue is there. A queue that fails while others work is in trouble by
 * itself: that is logged once, and is no outage of the broker, nor does it hide one.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { type Clock, elapsedOf } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { BrokerFault } from "../../brokers/message.ts";
import { asError, type Logger } from "../../telemetry/log.ts";
import { Outage } from "../../telemetry/outage.ts";

/** What is done with tickets of a queue. */
type BrokerCall = "send" | "receive" | "settle";

/** A success shows for so long that the broker is there: a receive may wait for 20 seconds. */
const freshMs = 30_000;
/** One failure may have begun while the broker was away. */
const ownFailuresMin = 2;

interface Failing {
  readonly since: number;
  /** Failures while other calls succeeded. */
  readonly own: number;
}

interface BrokerHealthOptions {
  /** Of the broker: "SQS". */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** The command that creates what the broker needs for a queue. */
  readonly creation: (queue: string) => string;
}

export class BrokerHealth {
  readonly #options: BrokerHealthOptions;
  readonly #outage: Outage;
  readonly #failing = new BoundedMap<string, Failing>(limits.unpolledQueuesMax);
  /** Polls wait for these queues, and receives fail. */
  readonly #lacking = new Set<string>();
  #succeededAt = Number.NEGATIVE_INFINITY;

  constructor(options: BrokerHealthOptions) {
    this.#options = options;
    this.#outage = new Outage(`The task queue (${options.name})`, options);
  }

  /** The broker is away, or tickets of a queue that polls wait for do not come. */
  get isAway(): boolean {
    return this.#outage.open || this.#lacking.size > 0;
  }

  isAwayFor(queue: string): boolean {
    return this.#outage.open || this.#lacking.has(queue);
  }

  failed(call: BrokerCall, queue: string, error: unknown): void {
    const now = elapsedOf(this.#options.clock);
    const key = keyOf(call, queue);
    const { since, own } = this.#failing.get(key) ?? { since: now, own: 0 };
    const othersWork = this.#succeededAt > since && now - this.#succeededAt < freshMs;
    const isRefused = error instanceof BrokerFault && error.permanent;
    const isOwn = isRefused || othersWork;
    const failures = isRefused ? Math.max(ownFailuresMin, own + 1) : own + (isOwn ? 1 : 0);
    this.#failing.set(key, { since, own: failures });
    if (call === "receive") this.#lacking.add(queue);
    if (!isOwn) this.#outage.failed(error);
    else if (own < ownFailuresMin && failures >= ownFailuresMin) this.#tell(call, queue, error);
  }

  succeeded(call: BrokerCall, queue: string): void {
    const key = keyOf(call, queue);
    const failing = this.#failing.get(key);
    if (call === "receive") this.#lacking.delete(queue);
    this.#failing.delete(key);
    if (failing !== undefined && failing.own >= ownFailuresMin) {
      this.#options.log.warn("a queue for tickets can be used again", { queue, call });
    }
    this.#succeededAt = elapsedOf(this.#options.clock);
    this.#outage.succeeded();
  }

  /** No poll waits for it any more. */
  forget(queue: string): void {
    this.#lacking.delete(queue);
  }

  #tell(call: BrokerCall, queue: string, error: unknown): void {
    const { log, creation } = this.#options;
    const reason = asError(error).message;
    const about = { queue, call, reason, command: creation(queue) };
    log.warn("a queue for tickets cannot be used; if it is missing, create it", about);
  }
}

function keyOf(call: BrokerCall, queue: string): string {
  return `${call} ${queue}`;
}
