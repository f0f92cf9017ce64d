/** Which broker carries tickets, by the address that the server was given. */
import type { Clock } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import { KafkaClient } from "../brokers/kafka/client.ts";
import { BrokerFault } from "../brokers/message.ts";
import type { QueueAddress } from "../brokers/queue-address.ts";
import { isWithoutCredentials, SqsService } from "../brokers/sqs/service.ts";
import type { Logger } from "../telemetry/log.ts";
import { KafkaTickets } from "./kafka-tickets.ts";
import type { TicketQueue } from "./queue.ts";
import { SqsTickets } from "./sqs-tickets.ts";

interface OpenOptions {
  readonly namespace: string;
  /** Of the store. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Throws an Error of one sentence for what no waiting mends, such as a wrong password. A broker that
 * is away may come: the server starts without it.
 */
export async function openTicketQueue(
  address: QueueAddress,
  options: OpenOptions,
): Promise<TicketQueue> {
  const queue = make(address, options);
  try {
    await queue.check();
  } catch (error) {
    if (error instanceof BrokerFault && (error.permanent || isWithoutCredentials(error))) {
      await queue.close();
      const reason = error.message.replace(/\.$/, "");
      throw new Error(`the task queue cannot be used: ${reason}.`, { cause: error });
    }
  }
  return queue;
}

function make(address: QueueAddress, options: OpenOptions): SqsTickets | KafkaTickets {
  const { prefix } = address;
  if (address.kind === "sqs") {
    const { endpoint, region } = address;
    const { clock } = options;
    const service = new SqsService({ clock, ...defined({ endpoint, region }) });
    return new SqsTickets({ ...options, service, prefix });
  }
  const { cluster, partitions, replicas } = address;
  const topics = { partitions, ...defined({ replicas }) };
  const client = new KafkaClient(cluster, options.clock);
  return new KafkaTickets({ ...options, client, prefix, topics });
}
