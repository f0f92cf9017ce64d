/**
 * One place at a broker that tickets are sent to, in batches of what gathers meanwhile. While the
 * broker is away nothing waits for it: now and then one batch tries.
 */
import { type Clock, within } from "../../base/clock.ts";
import type { OutgoingMessage, Sender } from "../../brokers/message.ts";
import type { Logger } from "../../telemetry/log.ts";
import { Outage } from "../../telemetry/outage.ts";

/** Messages that wait or are under way; more are not taken. */
const messagesMax = 2_000;
const charsMax = 16 * 1024 * 1024;
const messagesPerBatch = 100;
const batchesMax = 4;
/** A broker that has not replied by then is away. */
const sendMs = 10_000;
/** Time between two attempts while it is away. */
const awayMs = 2_000;

interface Waiting {
  readonly message: OutgoingMessage;
  readonly resolve: (isSent: boolean) => void;
}

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
  #reason = "";

  constructor(options: RelayTargetOptions) {
    this.#options = options;
    this.#outage = new Outage(`The broker of ${options.address}`, options);
  }

  /** What is wrong with it; undefined: nothing. */
  get complaint(): string | undefined {
    if (!this.#isAway) return undefined;
    return `${this.#options.address} takes no messages: ${this.#reason}`;
  }

  /** False: the broker may not have it. */
  send(message: OutgoingMessage): Promise<boolean> {
    const chars = message.body.length;
    const isFull = this.#messages >= messagesMax || this.#chars + chars > charsMax;
    if (isFull || !this.#mayTry()) return Promise.resolve(false);
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
    let faults: readonly (Error | undefined)[] | undefined;
    const sending = this.#send(batch).then((outcomes) => {
      faults = outcomes;
    });
    await within(sendMs, sending, this.#options.clock);
    faults ??= batch.map(() => new Error(`no reply within ${sendMs / 1_000} seconds`));
    this.#batches -= 1;
    this.#note(faults);
    for (const [index, { resolve }] of batch.entries()) resolve(faults[index] === undefined);
    if (this.#waiting.length > 0) this.#flushSoon();
  }

  async #send(batch: readonly Waiting[]): Promise<readonly (Error | undefined)[]> {
    try {
      this.#sender ??= this.#options.open();
      return await this.#sender.send(batch.map(({ message }) => message));
    } catch (error) {
      return batch.map(() => error as Error);
    }
  }

  #note(faults: readonly (Error | undefined)[]): void {
    const fault = faults.find((one) => one !== undefined);
    this.#isAway = fault !== undefined;
    if (fault === undefined) {
      this.#outage.succeeded();
    } else {
      this.#reason = fault.message;
      this.#outage.failed(fault);
    }
  }
}
