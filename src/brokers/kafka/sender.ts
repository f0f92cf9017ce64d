/** Sends to a topic, in batches of bounded size. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { BrokerFault, type OutgoingMessage, type Sender } from "../message.ts";
import { isMissingTopic, type KafkaClient, kafkaFault } from "./client.ts";

const messagesPerBatch = 500;
/** Beside its texts, with length fields and attributes. */
const messageBytes = 100;

export class KafkaSender implements Sender {
  readonly #client: KafkaClient;
  readonly #topic: string;

  /** The client is the caller's to close. */
  constructor(client: KafkaClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
  }

  async send(messages: readonly OutgoingMessage[]): Promise<readonly (BrokerFault | undefined)[]> {
    const outcomes: (BrokerFault | undefined)[] = [];
    for (const batch of batchesOf(messages)) {
      const fault = await this.#sendBatch(batch);
      if (fault?.permanent && batch.length > 1) {
        // One of them is too large, say: it must not take the others with it.
        for (const message of batch) outcomes.push(await this.#sendBatch([message]));
      } else outcomes.push(...batch.map(() => fault));
    }
    return outcomes;
  }

  async #sendBatch(batch: readonly OutgoingMessage[]): Promise<BrokerFault | undefined> {
    const topic = this.#topic;
    const timestamp = BigInt(this.#client.clock.now());
    const messages = batch.map(({ key, body, headers }) => ({
      topic,
      timestamp,
      value: body,
      ...defined({ key, headers }),
    }));
    try {
      const producer = await this.#client.producer();
      await producer.send({ messages });
      return undefined;
    } catch (error) {
      const fault = kafkaFault(error);
      if (fault.permanent || !isMissingTopic(fault)) return fault;
      return new BrokerFault(fault.message, { permanent: true, cause: error });
    }
  }

  async close(): Promise<void> {}
}

function* batchesOf(messages: readonly OutgoingMessage[]): Iterable<readonly OutgoingMessage[]> {
  let batch: OutgoingMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = bytesOf(message);
    const isFull = batch.length === messagesPerBatch || bytes + size > limits.brokerBatchBytesMax;
    if (isFull && batch.length > 0) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(message);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function bytesOf({ body, key = "", headers = {} }: OutgoingMessage): number {
  const texts = [body, key, ...Object.entries(headers).flat()];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), messageBytes);
}
