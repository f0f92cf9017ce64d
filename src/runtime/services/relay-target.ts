/**
 * One place at a broker that tickets are sent to, in batches of what gathers meanwhile. While the
 * broker is away nothing waits for it: now and then one batch tries.
 */
import { type Clock, within } from "../../base/clock.ts";
import { BrokerFault, type OutgoingMessage, type Sender } from "../../brokers/message.ts";
import type { Logger } from "../../telemetry/log.ts";
import { Outage } from "../../telemetry/outage.ts";

/** Messages that wait or are under way; more are not taken. */
const messagesMax = 2_000;
const charsMax = 16 * 1024 * 1024;
const messagesPerBatch = 100;
const batchesMax = 4;
/** A broker that has not replied by then is away. */
const sendMs = 5_000;
/** Time between two attempts while it is away. */
const awayMs = 3_000;
/** Time between two lines of the log about messages that it refuses. */
const refusedWarnMs = 600_000;

interface Waiting {
  readonly message: OutgoingMessage;
  readonly resolve: (isSent: boolean) => void;
}

type Faults = readonly (Error | undefined)[];

interface RelayTargetOptions {
  /** As documents name it. */
  readonly address: string;
  /** May throw a BrokerFault. */
  readonly open: () => Sender;
  readonly clock: Clock;
  readonly log: Logger;
}

export class RelayTarget {
  readonly #options: RelayTargetOptions;
  readonly #outage: Outage;
  #sender: Sender | undefined;
  #waiting: Waiting[] = [];
  #messages = 0;
  #chars = 0;
  #batches = 0;
  #isFlushing = false;
  #tryAt = Number.NEGATIVE_INFINITY;
  #isAway = false;
  /** Why it took nothing the last time. */
  #reason: string | undefined;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RelayTargetOptions) {
    this.#options = options;
    this.#outage = new Outage(`The broker of ${options.address}`, options);
  }

  /** What is wrong with it; undefined: nothing. */
  get complaint(): string | undefined {
    if (this.#reason === undefined) return undefined;
    return `${this.#options.address} takes no messages: ${this.#reason.replace(/\.$/, "")}.`;
  }

  /** False: there is no room, or it is away and was tried a moment ago. */
  get isOpen(): boolean {
    const isFull = this.#messages >= messagesMax || this.#chars > charsMax;
    return !isFull && this.#mayTry();
  }

  /** False: the broker may not have it. */
  send(message: OutgoingMessage): Promise<boolean> {
    if (!this.isOpen) return Promise.resolve(false);
    const chars = message.body.length;
    this.#messages += 1;
    this.#chars += chars;
    const sent = new Promise<boolean>((resolve) => this.#waiting.push({ message, resolve }));
    this.#flushSoon();
    return sent.finally(() => {
      this.#messages -= 1;
      this.#chars -= chars;
    });
  }

  /** While it is away: one batch at a time, after a pause. */
  #mayTry(): boolean {
    if (!this.#isAway) return true;
    if (this.#messages > 0) return false;
    return Math.abs(this.#options.clock.now() - this.#tryAt) >= awayMs;
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#options.clock.soon(() => {
      this.#isFlushing = false;
      while (this.#waiting.length > 0 && this.#batches < batchesMax) {
        void this.#sendBatch(this.#waiting.splice(0, messagesPerBatch));
      }
    });
  }

  async #sendBatch(batch: readonly Waiting[]): Promise<void> {
    this.#batches += 1;
    this.#tryAt = this.#options.clock.now();
    let faults: Faults | undefined;
    const sending = this.#send(batch).then((outcomes) => {
      faults = outcomes;
    });
    await within(sendMs, sending, this.#options.clock);
    faults ??= batch.map(() => new Error(`no reply within ${sendMs / 1_000} seconds`));
    this.#batches -= 1;
    this.#note(faults);
    for (const [index, { resolve }] of batch.entries()) resolve(faults[index] === undefined);
    // What waits would be held up by a broker that does not reply.
    if (this.#isAway) for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    if (this.#waiting.length > 0) this.#flushSoon();
  }

  async #send(batch: readonly Waiting[]): Promise<Faults> {
    try {
      this.#sender ??= this.#options.open();
      return await this.#sender.send(batch.map(({ message }) => message));
    } catch (error) {
      return batch.map(() => error as Error);
    }
  }

  /** A broker that refuses a message for good is there: others may pass. */
  #note(faults: Faults): void {
    const isRefused = (fault: Error) => fault instanceof BrokerFault && fault.permanent;
    const found = faults.filter((fault) => fault !== undefined);
    const fault = found.find((one) => !isRefused(one));
    this.#isAway = fault !== undefined;
    this.#reason = found.length < faults.length ? undefined : (fault ?? found[0])?.message;
    if (fault !== undefined) this.#outage.failed(fault);
    else if (this.#reason === undefined) this.#outage.succeeded();
    if (fault === undefined && found.length > 0) this.#warn(found[0]!);
  }

  #warn(refusal: Error): void {
    const { clock, log, address } = this.#options;
    if (Math.abs(clock.now() - this.#warnedAt) < refusedWarnMs) return;
    this.#warnedAt = clock.now();
    log.warn("a broker refuses a ticket", { to: address, reason: refusal.message });
  }
}
