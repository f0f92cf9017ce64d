/**
 * The brokers that this server knows of: the Kafka cluster that it was given, and SQS. Opens places
 * of addresses; connections are made when something is sent or received, and shared.
 */
import type { Clock } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import type { BrokerAddress } from "./address.ts";
import type { KafkaAddress } from "./kafka/address.ts";
import { KafkaClient } from "./kafka/client.ts";
import { KafkaReceiver } from "./kafka/receiver.ts";
import { KafkaSender } from "./kafka/sender.ts";
import { BrokerFault, type Receiver, type Sender } from "./message.ts";
import { SqsQueue } from "./sqs/queue.ts";
import { SqsService } from "./sqs/service.ts";

interface BrokersOptions {
  readonly clock: Clock;
  /** Absent: there is none, and addresses of topics are refused. */
  readonly kafka?: KafkaAddress;
}

/** What others need of it. */
export type BrokerPlaces = Pick<Brokers, "reaches" | "sender" | "receiver">;

/** SQS shows a message to others after so long, where nobody has said anything of it. */
const visibilitySeconds = 60;

export class Brokers {
  readonly #kafka: KafkaClient | undefined;
  readonly #sqs: SqsService;

  constructor({ clock, kafka }: BrokersOptions) {
    this.#kafka = kafka && new KafkaClient(kafka, clock);
    this.#sqs = new SqsService({ clock });
  }

  /** Whether this server has been given what it takes to reach it. */
  reaches({ kind }: BrokerAddress): boolean {
    return kind !== "kafka" || this.#kafka !== undefined;
  }

  /** Throws a BrokerFault where the server has no cluster. */
  sender(address: BrokerAddress): Sender {
    if (address.kind === "sqs") return this.#queue(address);
    return new KafkaSender(this.#cluster(), address.topic);
  }

  /** `group`: who shares the messages of a topic with whom; of no meaning to SQS. */
  receiver(address: BrokerAddress, { group }: { readonly group: string }): Receiver {
    if (address.kind === "sqs") return this.#queue(address);
    return new KafkaReceiver({ client: this.#cluster(), topics: [address.topic], group });
  }

  /** After all receivers are closed. */
  async close(): Promise<void> {
    await this.#kafka?.close();
  }

  #queue({ queue, region }: Extract<BrokerAddress, { kind: "sqs" }>): SqsQueue {
    return new SqsQueue({ service: this.#sqs, queue, visibilitySeconds, ...defined({ region }) });
  }

  #cluster(): KafkaClient {
    if (this.#kafka !== undefined) return this.#kafka;
    const message = "This server has no Kafka cluster: start it with --kafka host:port.";
    throw new BrokerFault(message, { permanent: true });
  }
}
