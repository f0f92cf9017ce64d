/**
 * Takes messages of one source from its broker, has each handled, and acknowledges it after that. A
 * message that cannot be handled is tried some times, beside the others (those of its group wait for
 * it), and then buried: it becomes a dead letter. What the store cannot do for now is no try: the pump
 * waits, with all that it has taken. Bounded in messages and bytes. Whatever it has not acknowledged
 * is delivered again.
 */
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { IncomingMessage, Receiver } from "../../brokers/message.ts";
import type { SourceStatus } from "../../model/source.ts";
import { asError, type Logger } from "../../telemetry/log.ts";
import { Outage } from "../../telemetry/outage.ts";
import { isOfStore } from "../shared/faults.ts";
import type { Gate } from "../shared/gate.ts";
import type { Burial } from "./dead-letters.ts";
import { Halt } from "./halt.ts";
import type { Handle, Handled } from "./handler.ts";
import type { DeadLetter } from "./parked.ts";
import { Turns } from "./turns.ts";

/** Messages that one call of the broker brings: of the largest, as much as may be in flight. */
const receiveMax = 32;
/** How long one call of the broker waits for messages. */
const receiveMs = 5_000;
/** Rests after something that is not the message's fault: the first, and the longest. */
const restMsMin = 500;
const brokerRestMsMax = 10_000;
const storeRestMsMax = 30_000;
/** What a message takes in memory besides its value. */
const messageBytes = 1_000;

interface PumpOptions {
  readonly name: string;
  readonly receiver: Receiver;
  readonly handle: Handle;
  readonly burial: Burial;
  /** Messages of a group are handled one after another. */
  readonly keepsOrder: boolean;
  /** Shared by all sources of a server. */
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Logger;
  readonly count: (outcome: Handled | "dead" | "failed") => void;
}

interface InFlight {
  /** As it was delivered last. */
  message: IncomingMessage;
  readonly bytes: number;
}

export class Pump {
  readonly #options: PumpOptions;
  readonly #inFlight = new Map<string, InFlight>();
  readonly #turns = new Turns();
  #bytes = 0;
  /** Messages for which something is under way. */
  #busy = 0;
  readonly #halt: Halt;
  /** Handled, and not acknowledged. */
  #handled: InFlight[] = [];
  #acking: Promise<void> | undefined;
  #changed = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  readonly #counts = { started: 0, signalled: 0, duplicates: 0, deadLetters: 0 };
  #error: SourceStatus["error"];
  readonly #broker: Outage;
  /** While it is set, the store is asked for nothing. */
  #storeRest: Promise<void> | undefined;
  readonly #storeRests = new Backoff(restMsMin, storeRestMsMax);
  /** Dead letters that cannot be buried for now. */
  #unburied = 0;

  constructor(options: PumpOptions) {
    const { clock, log, name } = options;
    this.#options = options;
    this.#halt = new Halt(clock);
    this.#broker = new Outage(`The broker of the source ${name}`, { clock, log });
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when what was being handled is, and as much as possible is acknowledged. */
  async stop(): Promise<void> {
    const { receiver, log, name } = this.#options;
    this.#halt.now();
    this.#wake();
    await this.#running;
    while (this.#busy > 0) await this.#changed.promise;
    await this.#acking;
    const rest = [...this.#inFlight.values()].map(({ message }) => message);
    try {
      if (rest.length > 0) await receiver.giveBack(rest);
    } catch (error) {
      log.debug("messages could not be given back", { source: name, error: asError(error) });
    }
    await receiver.close();
    await this.#options.burial.close();
  }

  get status(): SourceStatus {
    const isFailing = this.#broker.open || this.#unburied > 0;
    const state = isFailing ? "failing" : this.#storeRest === undefined ? "running" : "waiting";
    const inFlight = this.#inFlight.size;
    return { state, ...this.#counts, inFlight, ...defined({ error: this.#error }) };
  }

  /** Undefined while the broker does not say. */
  lag(): Promise<number | undefined> {
    return this.#options.receiver.backlog().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const rests = new Backoff(restMsMin, brokerRestMsMax);
    while (!this.#halt.isOver) {
      const room = this.#room();
      if (room === 0 || this.#storeRest !== undefined) {
        await Promise.race([this.#changed.promise, this.#storeRest ?? this.#changed.promise]);
        continue;
      }
      try {
        const { signal } = this.#halt;
        const request = { limit: room, waitMs: receiveMs, signal };
        const messages = await this.#options.receiver.receive(request);
        this.#broker.succeeded();
        rests.reset();
        for (const message of messages) this.#take(message);
      } catch (error) {
        if (this.#halt.isOver) return;
        this.#brokerFailed(error);
        await this.#halt.rest(rests.next());
      }
    }
  }

  #room(): number {
    if (this.#bytes >= limits.sourceInFlightBytesMax) return 0;
    return Math.min(receiveMax, limits.sourceInFlightMax - this.#inFlight.size);
  }

  /** One that is delivered again while it is being handled is the same message. */
  #take(message: IncomingMessage): void {
    const known = this.#inFlight.get(message.id);
    if (known !== undefined) {
      known.message = message;
      return;
    }
    const one = { message, bytes: messageBytes + message.body.length };
    this.#inFlight.set(message.id, one);
    this.#bytes += one.bytes;
    this.#busy += 1;
    const group = this.#options.keepsOrder ? message.group : undefined;
    const work = this.#turns.take(group, () => this.#work(one));
    void work.then((isDone) => {
      this.#busy -= 1;
      if (isDone) this.#ackSoon(one);
      this.#wake();
    });
  }

  /** Whether it is to be acknowledged; false: the pump has been stopped before. */
  async #work(one: InFlight): Promise<boolean> {
    for (let tries = 1; !this.#halt.isOver; ) {
      const error = await this.#try(one);
      if (error === undefined) return true;
      if (isOfStore(error)) {
        await this.#storeFailed(error);
        continue;
      }
      this.#failed(error, one.message);
      if (tries >= limits.sourceTriesMax) {
        return this.#bury({ message: one.message, reason: asError(error).message, tries });
      }
      await this.#halt.rest(limits.sourceRetryMs * 2 ** (tries - 1));
      tries += 1;
    }
    return false;
  }

  /** Returns what went wrong. */
  async #try({ message }: InFlight): Promise<unknown> {
    const { gate, handle } = this.#options;
    try {
      if (this.#storeRest !== undefined) await this.#storeRest;
      const handled = await gate.pass(() => handle(message));
      this.#storeRests.reset();
      this.#count(handled);
      return undefined;
    } catch (error) {
      return error ?? new Error("nothing was thrown");
    }
  }

  /** All messages wait together: the store is full, or away. */
  async #storeFailed(error: unknown): Promise<void> {
    this.#note(error);
    if (this.#storeRest === undefined) {
      this.#storeRest = this.#halt.rest(this.#storeRests.next()).finally(() => {
        this.#storeRest = undefined;
        this.#wake();
      });
    }
    await this.#storeRest;
  }

  async #bury(letter: DeadLetter): Promise<boolean> {
    const rests = new Backoff(restMsMin, brokerRestMsMax);
    let isCounted = false;
    try {
      while (!this.#halt.isOver) {
        try {
          await this.#options.burial.bury(letter);
          this.#count("dead");
          return true;
        } catch (error) {
          this.#note(error);
          if (!isCounted) this.#unburied += 1;
          isCounted = true;
          await this.#halt.rest(rests.next());
        }
      }
      return false;
    } finally {
      if (isCounted) this.#unburied -= 1;
    }
  }

  /** What is handled while an acknowledgement is under way goes with the next one. */
  #ackSoon(one: InFlight): void {
    this.#handled.push(one);
    this.#acking ??= this.#ack().finally(() => {
      this.#acking = undefined;
    });
  }

  async #ack(): Promise<void> {
    const rests = new Backoff(restMsMin, brokerRestMsMax);
    while (this.#handled.length > 0) {
      // What this turn of the event loop handles goes along.
      await this.#halt.turn();
      const batch = this.#handled;
      this.#handled = [];
      try {
        await this.#options.receiver.ack(batch.map(({ message }) => message));
        for (const one of batch) this.#forget(one);
        rests.reset();
        this.#wake();
      } catch (error) {
        this.#brokerFailed(error);
        if (this.#halt.isOver) {
          // They are delivered again, and found to be handled.
          for (const one of batch) this.#forget(one);
          return;
        }
        this.#handled.unshift(...batch);
        await this.#halt.rest(rests.next());
      }
    }
  }

  #forget({ message: { id }, bytes }: InFlight): void {
    this.#inFlight.delete(id);
    this.#bytes -= bytes;
  }

  #count(outcome: Handled | "dead"): void {
    const counts = {
      started: "started",
      signalled: "signalled",
      duplicate: "duplicates",
      dead: "deadLetters",
    } as const;
    this.#counts[counts[outcome]] += 1;
    this.#options.count(outcome);
  }

  #failed(error: unknown, { id }: IncomingMessage): void {
    const { log, name, count } = this.#options;
    count("failed");
    this.#note(error);
    log.debug("a message could not be handled", { source: name, id, error: asError(error) });
  }

  #brokerFailed(error: unknown): void {
    this.#broker.failed(error);
    this.#note(error);
  }

  #note(error: unknown): void {
    const at = this.#options.clock.now();
    this.#error = { at, message: asError(error).message };
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
