/** Tickets on SQS: a standard queue for each queue of Orchy, created when it is first used. */
import { BoundedMap } from "../base/bounded-map.ts";
import { limits } from "../base/limits.ts";
import type { BrokerFault, IncomingMessage } from "../brokers/message.ts";
import { SqsQueue } from "../brokers/sqs/queue.ts";
import { isMissingQueue, type SqsService } from "../brokers/sqs/service.ts";
import type { Logger } from "../telemetry/log.ts";
import { brokerQueueName } from "./names.ts";
import type { Delivery, Ticket, TicketQueue, TicketReceive } from "./queue.ts";
import { readTicket, writeTicket } from "./ticket-text.ts";

/** A ticket is tried at once: one that is out for longer went to a server that has died. */
const visibilitySeconds = 10;

/** A task that waits for longer is found in the store. */
const create = { MessageRetentionPeriod: "3600", VisibilityTimeout: `${visibilitySeconds}` };

interface SqsTicketsOptions {
  readonly service: SqsService;
  readonly prefix: string;
  readonly namespace: string;
  readonly partitions: number;
  readonly log: Logger;
}

interface Received {
  readonly from: SqsQueue;
  readonly message: IncomingMessage;
}

export class SqsTickets implements TicketQueue {
  readonly traits = { name: "SQS", competing: true };
  readonly #options: SqsTicketsOptions;
  readonly #queues = new BoundedMap<string, SqsQueue>(limits.unpolledQueuesMax);

  constructor(options: SqsTicketsOptions) {
    this.#options = options;
  }

  /** Throws a BrokerFault that is permanent where SQS does not let this server in. */
  async check(): Promise<void> {
    const request = { QueueName: this.#nameOf("check") };
    try {
      await this.#options.service.call({}, "GetQueueUrl", request, { isRepeatable: true });
    } catch (error) {
      if (!isMissingQueue(error as BrokerFault)) throw error;
    }
  }

  async offer(queue: string, tickets: readonly Ticket[]): Promise<void> {
    const messages = tickets.map((ticket) => ({ body: writeTicket(ticket) }));
    const fault = (await this.#queueOf(queue).send(messages)).find((one) => one !== undefined);
    if (fault !== undefined) throw fault;
  }

  async receive({ queue, ...options }: TicketReceive): Promise<readonly Delivery[]> {
    const from = this.#queueOf(queue);
    const messages = await from.receive(options);
    const deliveries: Delivery[] = [];
    const others: IncomingMessage[] = [];
    for (const message of messages) {
      const ticket = readTicket(message.body, this.#options.partitions);
      if (ticket === undefined) others.push(message);
      else deliveries.push({ ticket, handle: { from, message } satisfies Received });
    }
    if (others.length > 0) {
      this.#options.log.warn("messages in a queue of tickets are none", { queue });
      await from.ack(others);
    }
    return deliveries;
  }

  settle(deliveries: readonly Delivery[]): Promise<void> {
    return forEachQueue(deliveries, (from, messages) => from.ack(messages));
  }

  giveBack(deliveries: readonly Delivery[]): Promise<void> {
    return forEachQueue(deliveries, (from, messages) => from.giveBack(messages));
  }

  creation(queue: string): string {
    const attributes = Object.entries(create).map(([name, value]) => `${name}=${value}`);
    const name = this.#nameOf(queue);
    return `aws sqs create-queue --queue-name ${name} --attributes ${attributes.join(",")}`;
  }

  async close(): Promise<void> {}

  #queueOf(queue: string): SqsQueue {
    const { service } = this.#options;
    const known = this.#queues.get(queue);
    if (known !== undefined) return known;
    const name = this.#nameOf(queue);
    const made = new SqsQueue({ service, queue: name, visibilitySeconds, create });
    this.#queues.set(queue, made);
    return made;
  }

  #nameOf(queue: string): string {
    const { prefix, namespace } = this.#options;
    return brokerQueueName(prefix, namespace, queue);
  }
}

async function forEachQueue(
  deliveries: readonly Delivery[],
  call: (from: SqsQueue, messages: readonly IncomingMessage[]) => Promise<void>,
): Promise<void> {
  const handles = deliveries.map(({ handle }) => handle as Received);
  const byQueue = Map.groupBy(handles, ({ from }) => from);
  const calls = [...byQueue].map(([from, some]) =>
    call(
      from,
      some.map(({ message }) => message),
    ),
  );
  await Promise.all(calls);
}
