/**
 * Tickets on Kafka: a topic for each queue of Orchy, created when it is first used. Servers take the
 * topics of queues that polls wait for, in one consumer group. A partition has one server, so what comes
 * for a queue that no poll waits for any more goes to whoever receives next, to be noted there.
 */
import { BoundedMap } from "../base/bounded-map.ts";
import { type Clock, waitOf } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { KafkaClient } from "../brokers/kafka/client.ts";
import { KafkaReceiver } from "../brokers/kafka/receiver.ts";
import { KafkaSender } from "../brokers/kafka/sender.ts";
import type { IncomingMessage } from "../brokers/message.ts";
import { plainQueueKey } from "../model/ids.ts";
import type { Logger } from "../telemetry/log.ts";
import { brokerQueueName } from "./names.ts";
import type { Delivery, Ticket, TicketQueue, TicketReceive } from "./queue.ts";
import { readTicket, writeTicket } from "./ticket-text.ts";

interface KafkaTicketsOptions {
  readonly client: KafkaClient;
  readonly prefix: string;
  readonly namespace: string;
  /** Of the store. */
  readonly partitions: number;
  readonly topics: { readonly partitions: number; readonly replicas?: number };
  readonly clock: Clock;
  readonly log: Logger;
}

/** A queue that nobody has received for is left to other servers after so long. */
const keptMs = 30_000;
/** Queues that are asked for at about the same time make for one change of the group. */
const gatherMs = 100;
/** A ticket waits so long for a poll of its own queue. */
const ownMs = 500;
const perFetch = 100;
const fetchWaitMs = 5_000;

interface Waiting {
  readonly queue: string;
  readonly end: () => void;
}

interface Held {
  readonly delivery: Delivery;
  readonly strayAt: number;
}

export class KafkaTickets implements TicketQueue {
  readonly traits = { name: "Kafka", competing: false };
  readonly #options: KafkaTicketsOptions;
  /** By queue: its topic, once that is there. */
  readonly #topics = new BoundedMap<string, Promise<string>>(limits.unpolledQueuesMax);
  /** When a queue was last received for. */
  readonly #askedAt = new Map<string, number>();
  #subscribed: readonly string[] = [];
  #receiver: KafkaReceiver | undefined;
  #changing: Promise<void> = Promise.resolve();
  #isChangeDue = false;
  readonly #waiting = new Set<Waiting>();
  #held: Held[] = [];
  #onTaken = () => {};
  /** Why nothing comes; undefined: it does. */
  #fault: unknown;
  readonly #abort = new AbortController();

  constructor(options: KafkaTicketsOptions) {
    this.#options = options;
  }

  /** Throws a BrokerFault that is permanent where Kafka does not let this server in. */
  async check(): Promise<void> {
    await this.#options.client.ensureTopics([], { partitions: -1, replicas: -1 });
  }

  async offer(queue: string, tickets: readonly Ticket[]): Promise<void> {
    const sender = new KafkaSender(this.#options.client, await this.#topicOf(queue));
    const messages = tickets.map((ticket) => ({ key: ticket.key.id, body: writeTicket(ticket) }));
    const fault = (await sender.send(messages)).find((one) => one !== undefined);
    if (fault === undefined) return;
    // The topic may have been deleted.
    if (fault.permanent) this.#topics.delete(queue);
    throw fault;
  }

  async receive({ queue, limit, waitMs, signal }: TicketReceive): Promise<readonly Delivery[]> {
    const { clock } = this.#options;
    await this.#topicOf(queue);
    this.#askedAt.set(queue, clock.now());
    this.#changeSoon();
    if (this.#heldFor(queue).length === 0 && waitMs > 0) {
      const { over, end } = waitOf(waitMs, clock, signal);
      const waiting = { queue, end };
      this.#waiting.add(waiting);
      await over;
      this.#waiting.delete(waiting);
    }
    this.#askedAt.set(queue, clock.now());
    const taken = this.#heldFor(queue).slice(0, limit);
    if (taken.length > 0) {
      this.#held = this.#held.filter((one) => !taken.includes(one));
      this.#onTaken();
      return taken.map(({ delivery }) => delivery);
    }
    if (this.#fault !== undefined) throw this.#fault;
    return [];
  }

  async settle(deliveries: readonly Delivery[]): Promise<void> {
    const messages = deliveries.map(({ handle }) => handle as IncomingMessage);
    if (messages.length > 0) await this.#receiver?.ack(messages);
  }

  /** It would come here again. */
  async giveBack(): Promise<void> {}

  creation(queue: string): string {
    const { client, prefix, namespace, topics } = this.#options;
    const topic = brokerQueueName(prefix, namespace, queue);
    return (
      `kafka-topics.sh --bootstrap-server ${client.address.brokers[0]} --create ` +
      `--topic ${topic} --partitions ${topics.partitions}`
    );
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#changing;
    await this.#receiver?.close();
    await this.#options.client.close();
  }

  /** Those of the queue, and those that have waited for a poll of theirs in vain. */
  #heldFor(queue: string): readonly Held[] {
    const now = this.#options.clock.now();
    return this.#held.filter(
      ({ delivery, strayAt }) => plainQueueKey(delivery.ticket.queue) === queue || strayAt <= now,
    );
  }

  #topicOf(queue: string): Promise<string> {
    const known = this.#topics.get(queue);
    if (known !== undefined) return known;
    const { client, prefix, namespace, topics } = this.#options;
    const topic = brokerQueueName(prefix, namespace, queue);
    const { partitions, replicas = -1 } = topics;
    const made = client.ensureTopics([topic], { partitions, replicas }).then(
      () => topic,
      (error) => {
        this.#topics.delete(queue);
        throw error;
      },
    );
    this.#topics.set(queue, made);
    return made;
  }

  #changeSoon(): void {
    if (this.#isChangeDue || this.#abort.signal.aborted) return;
    this.#isChangeDue = true;
    this.#options.clock.after(gatherMs, () => {
      this.#isChangeDue = false;
      this.#changing = this.#changing.then(() => this.#change()).catch(() => {});
    });
  }

  /** Takes part in the topics that are asked for, if those have changed. */
  async #change(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const { clock, client, prefix, namespace } = this.#options;
    const oldest = clock.now() - keptMs;
    const waited = new Set([...this.#waiting].map(({ queue }) => queue));
    for (const [queue, at] of this.#askedAt) {
      if (at < oldest && !waited.has(queue)) this.#askedAt.delete(queue);
    }
    const topics = [...this.#askedAt.keys()]
      .map((queue) => brokerQueueName(prefix, namespace, queue))
      .sort();
    if (topics.join() === this.#subscribed.join()) return;
    this.#subscribed = topics;
    const before = this.#receiver;
    this.#receiver = undefined;
    await before?.close();
    // What is not settled comes again, here or elsewhere.
    this.#held = [];
    if (topics.length === 0) return;
    const group = brokerQueueName(prefix, namespace, "servers");
    const receiver = new KafkaReceiver({ client, topics, group });
    this.#receiver = receiver;
    void this.#pump(receiver);
  }

  async #pump(receiver: KafkaReceiver): Promise<void> {
    const { partitions, clock, log } = this.#options;
    const { signal } = this.#abort;
    while (this.#receiver === receiver && !signal.aborted) {
      try {
        const messages = await receiver.receive({ limit: perFetch, waitMs: fetchWaitMs, signal });
        this.#fault = undefined;
        const others: IncomingMessage[] = [];
        for (const message of messages) {
          const ticket = readTicket(message.body, partitions);
          if (ticket === undefined) others.push(message);
          else {
            const strayAt = clock.now() + ownMs;
            this.#held.push({ delivery: { ticket, handle: message }, strayAt });
          }
        }
        if (others.length > 0) {
          log.warn("messages in a topic of tickets are none", { topic: others[0]!.topic });
          await receiver.ack(others);
        }
      } catch (error) {
        if (this.#receiver === receiver) this.#fault = error;
      }
      this.#wake();
      this.#changeSoon();
      // No more is fetched than can be tried: the rest may go to other servers.
      while (this.#held.length >= perFetch && this.#receiver === receiver && !signal.aborted) {
        const { over, end } = waitOf(ownMs, clock, signal);
        this.#onTaken = end;
        await over;
        this.#wake();
      }
    }
  }

  #wake(): void {
    const queues = new Set(this.#held.map(({ delivery }) => plainQueueKey(delivery.ticket.queue)));
    for (const { queue, end } of this.#waiting) {
      if (queues.has(queue) || this.#fault !== undefined) end();
    }
    if (this.#held.length > 0) this.#options.clock.after(ownMs, () => this.#wakeForStrays());
  }

  #wakeForStrays(): void {
    const taker = [...this.#waiting].find(({ queue }) => this.#heldFor(queue).length > 0);
    taker?.end();
  }
}
