/**
 * A member of a consumer group, which takes the messages of topics and commits what is done with.
 * The client's consumer does not outlive a broker that is away for some seconds: then it is made
 * anew, and what was not committed is delivered again.
 */
import type { Consumer, MessagesStream } from "@platformatic/kafka";
import { Backoff } from "../../base/backoff.ts";
import { systemIds, waitOf } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { Arrivals } from "../arrivals.ts";
import {
  BrokerFault,
  type IncomingMessage,
  type ReceiveOptions,
  type Receiver,
} from "../message.ts";
import { assignPartitions } from "./assign.ts";
import { guarded, type KafkaClient, kafkaFault } from "./client.ts";
import { Progress, partitionKey } from "./progress.ts";

type TextConsumer = Consumer<string, string, string, string>;
type TextStream = MessagesStream<string, string, string, string>;

interface KafkaReceiverOptions {
  readonly client: KafkaClient;
  readonly topics: readonly string[];
  readonly group: string;
  /** Absent: 10 seconds. */
  readonly sessionMs?: number;
}

/** How long a broker waits for a member that says nothing before its partitions go to others. */
const sessionMsDefault = 10_000;
const heartbeatMs = 1_000;
/** How long a group waits for its members to join anew, in sessions. */
const rebalanceSessions = 1.5;
const fetchWaitMs = 500;
/**
 * Rest before a consumer is made anew; longer with each try, and short enough to be soon back with a
 * broker that returns.
 */
const restMsMin = 250;
const restMsMax = 2_000;

/** A consumer with its stream, from its making until it fails. */
interface Life {
  readonly consumer: TextConsumer;
  readonly stream: TextStream;
  readonly progress: Progress;
}

export class KafkaReceiver implements Receiver {
  readonly #options: KafkaReceiverOptions;
  /**
   * By which the group knows all consumers of this receiver as one member: a new one takes the place of
   * the last at once, where the group would otherwise wait for the end of that one's session.
   */
  readonly #memberName = `orchy-${systemIds.uuid()}`;
  readonly #arrivals: Arrivals;
  #life: Life | undefined;
  readonly #rests = new Backoff(restMsMin, restMsMax);
  #isClosed = false;
  #committing: Promise<void> | undefined;
  #running: Promise<void>;
  #wake = () => {};

  constructor(options: KafkaReceiverOptions) {
    this.#options = options;
    this.#arrivals = new Arrivals({
      clock: options.client.clock,
      max: limits.brokerBufferedMax,
      bytesMax: limits.brokerBufferedBytesMax,
      onFull: () => this.#life?.stream.pause(),
      onRoom: () => this.#life?.stream.resume(),
    });
    this.#running = this.#run();
  }

  async receive(options: ReceiveOptions): Promise<readonly IncomingMessage[]> {
    return await this.#arrivals.take(options);
  }

  async ack(messages: readonly IncomingMessage[]): Promise<void> {
    const progress = this.#life?.progress;
    for (const message of messages) progress?.done(positionOf(message));
    // One commit at a time; the next one has all that came meanwhile.
    while (this.#committing !== undefined) await this.#committing.catch(() => {});
    this.#committing = this.#commit();
    try {
      await this.#committing;
    } finally {
      this.#committing = undefined;
    }
  }

  async giveBack(messages: readonly IncomingMessage[]): Promise<void> {
    this.#arrivals.putBack(
      messages.filter((message) => this.#life?.progress.has(positionOf(message))),
    );
  }

  /** Of the partitions that are assigned to this receiver. */
  async backlog(): Promise<number> {
    const { consumer } = this.#life ?? {};
    if (consumer === undefined) {
      throw new BrokerFault("Kafka: no broker is connected", { permanent: false });
    }
    try {
      const lags = await consumer.getLag({ topics: [...this.#options.topics] });
      let sum = 0n;
      for (const lag of [...lags.values()].flat()) if (lag > 0n) sum += lag;
      return Number(sum);
    } catch (error) {
      throw kafkaFault(error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    this.#arrivals.close();
    await this.#committing?.catch(() => {});
    await this.#running;
  }

  async #commit(): Promise<void> {
    if (this.#life === undefined) return;
    const { consumer, progress } = this.#life;
    const due = progress.due();
    if (due.length === 0) return;
    try {
      await consumer.commit({ offsets: due.map((one) => ({ ...one, leaderEpoch: -1 })) });
      progress.wereCommitted(due);
    } catch (error) {
      throw kafkaFault(error);
    }
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const fault = await this.#live();
      this.#life = undefined;
      this.#arrivals.clear();
      if (this.#isClosed) return;
      this.#arrivals.fail(fault);
      const { over, end } = waitOf(this.#rests.next(), this.#options.client.clock);
      this.#wake = end;
      await over;
    }
  }

  /** Resolves when the consumer has failed, or this receiver is closed. */
  async #live(): Promise<BrokerFault> {
    let consumer: TextConsumer | undefined;
    try {
      consumer = guarded(await this.#makeConsumer());
      const progress = new Progress();
      const ended = Promise.withResolvers<unknown>();
      // It could not join its group again; without a listener the event would end the process.
      consumer.on("error", ended.resolve);
      this.#wake = () => ended.resolve(undefined);
      if (this.#isClosed) return kafkaFault(undefined);
      const topics = [...this.#options.topics];
      const stream = await consumer.consume({
        topics,
        mode: "committed",
        fallbackMode: "earliest",
        autocommit: false,
      });
      guarded(stream);
      this.#life = { consumer, stream, progress };
      this.#arrivals.recover();
      this.#listen(this.#life, ended.resolve);
      const fault = this.#faultOf(await ended.promise);
      if (this.#isClosed) await this.#commit().catch(() => {});
      return fault;
    } catch (error) {
      return this.#faultOf(error);
    } finally {
      await consumer?.close(true).catch(() => {});
    }
  }

  /** Kafka says that rights are missing, and not which. */
  #faultOf(error: unknown): BrokerFault {
    const fault = kafkaFault(error);
    if (!/AUTHORIZATION_FAILED/.test(fault.message)) return fault;
    const { group, topics } = this.#options;
    const read = topics.length === 1 ? `the topic ${topics[0]}` : "its topics";
    const needed = `It takes READ on the group ${group}, and on ${read}.`;
    const { permanent, cause } = fault;
    return new BrokerFault(`${fault.message} ${needed}`, { permanent, cause });
  }

  async #makeConsumer(): Promise<TextConsumer> {
    const { client, group, sessionMs = sessionMsDefault } = this.#options;
    const [{ Consumer, stringDeserializers }, options] = await Promise.all([
      client.library(),
      client.options(),
    ]);
    return new Consumer({
      ...options,
      groupId: group,
      groupInstanceId: this.#memberName,
      sessionTimeout: sessionMs,
      heartbeatInterval: heartbeatMs,
      rebalanceTimeout: rebalanceSessions * sessionMs,
      maxWaitTime: fetchWaitMs,
      maxBytes: limits.brokerFetchBytesMax,
      partitionAssigner: assignPartitions,
      deserializers: stringDeserializers,
    }) as TextConsumer;
  }

  #listen(life: Life, fail: (error: unknown) => void): void {
    const { consumer, stream, progress } = life;
    const assign = () => {
      const assigned = (consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      );
      const lost = new Set(progress.assign(assigned));
      // The client would go on from here should they come back, past what others left undone.
      for (const key of lost) stream.offsetsToFetch.delete(key);
      this.#arrivals.drop((message) => lost.has(partitionKey(positionOf(message))));
      return assigned;
    };
    const begin = () => {
      for (const one of assign()) {
        const offset = stream.offsetsToFetch.get(partitionKey(one));
        if (offset !== undefined) progress.begin({ ...one, offset });
      }
    };
    consumer.prependListener("consumer:group:join", assign);
    stream.on("offsets", begin);
    begin();
    stream.on("data", (message) => {
      const accepted = progress.accept(message);
      if (typeof accepted === "bigint") {
        const key = partitionKey(message);
        queueMicrotask(() => stream.offsetsToFetch.set(key, accepted));
      } else if (accepted) {
        this.#rests.reset();
        this.#arrivals.add(incoming(message));
      }
    });
    stream.on("error", fail);
    stream.on("close", () => fail(new Error("the connection was closed")));
  }
}

function positionOf({ topic = "", partition = 0, offset = "0" }: IncomingMessage) {
  return { topic, partition, offset: BigInt(offset) };
}

function incoming(message: {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestamp: bigint;
  readonly key?: string;
  readonly value?: string;
  readonly headers: ReadonlyMap<string, string>;
}): IncomingMessage {
  const { topic, partition, key, value = "", headers } = message;
  const id = `${topic}/${partition}/${message.offset}`;
  // Kafka keeps the order of a partition, and senders choose it by the key.
  const group = key === undefined ? undefined : `${topic}/${partition}/${key}`;
  return {
    id,
    body: value,
    ...defined({ key, group }),
    headers: Object.fromEntries(headers),
    sentAt: Number(message.timestamp),
    topic,
    partition,
    offset: `${message.offset}`,
    handle: id,
  };
}
