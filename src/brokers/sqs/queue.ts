/** A queue of SQS: messages to it in batches, and from it by long polls. */
import type { AwsCallOptions } from "../../aws/client.ts";
import { defined } from "../../base/defined.ts";
import { hashText } from "../../base/hash.ts";
import { limits } from "../../base/limits.ts";
import {
  BrokerFault,
  type IncomingMessage,
  type OutgoingMessage,
  type ReceiveOptions,
  type Receiver,
  type Sender,
} from "../message.ts";
import { isMissingQueue, missingQueue, type SqsService, sqsFault } from "./service.ts";

/** Bounds of SQS. */
const batchMax = 10;
const attributesMax = 10;
const waitSecondsMax = 20;
const attributeBytes = 20;

/** Of a group: other keys are hashed. */
const groupPattern = /^[!-~]{1,128}$/;

/** Beyond the time that a long poll waits. */
const responseMs = 5_000;
/** Batches that are sent at the same time. */
const batchesAtOnce = 8;

interface SqsQueueOptions {
  readonly service: SqsService;
  /** A name or a URL. */
  readonly queue: string;
  readonly region?: string;
  /** How long a message that was received is hidden from others. */
  readonly visibilitySeconds: number;
  /** Attributes with which a queue that is missing is created; absent: it is not. */
  readonly create?: Readonly<Record<string, string>>;
}

interface RawMessage {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly Attributes?: Readonly<Record<string, string>>;
  readonly MessageAttributes?: Readonly<Record<string, { readonly StringValue?: string }>>;
}

interface BatchAnswer {
  readonly Failed?: readonly {
    readonly Id: string;
    readonly Code: string;
    readonly Message?: string;
    readonly SenderFault: boolean;
  }[];
}

export class SqsQueue implements Sender, Receiver {
  readonly #options: SqsQueueOptions;
  #url: Promise<string> | undefined;

  constructor(options: SqsQueueOptions) {
    this.#options = options;
  }

  /** A FIFO queue. Messages of others may have groups, too, which are not in order. */
  get #isOrdered(): boolean {
    return /\.fifo$/.test(this.#options.queue);
  }

  async send(messages: readonly OutgoingMessage[]): Promise<readonly (BrokerFault | undefined)[]> {
    const outcomes = new Array<BrokerFault | undefined>(messages.length).fill(undefined);
    const batches = [...batchesOf(messages, outcomes)];
    const atOnce = this.#isOrdered ? 1 : batchesAtOnce;
    for (let first = 0; first < batches.length; first += atOnce) {
      const some = batches.slice(first, first + atOnce);
      await Promise.all(some.map((batch) => this.#sendBatch(messages, batch, outcomes)));
    }
    return outcomes;
  }

  async #sendBatch(
    messages: readonly OutgoingMessage[],
    indexes: readonly number[],
    outcomes: (BrokerFault | undefined)[],
  ): Promise<void> {
    const isOrdered = this.#isOrdered;
    const entries = indexes.map((index) => {
      const { body, key = "", id, headers = {} } = messages[index]!;
      const attributes = Object.entries(headers).map(([name, text]) => [
        name,
        { DataType: "String", StringValue: text },
      ]);
      return {
        Id: `${index}`,
        MessageBody: body,
        ...(attributes.length > 0 && { MessageAttributes: Object.fromEntries(attributes) }),
        ...(isOrdered && orderOf(key, id)),
      };
    });
    try {
      const answer = await this.#call<BatchAnswer>("SendMessageBatch", { Entries: entries });
      for (const { Id, Code, Message = "", SenderFault } of answer.Failed ?? []) {
        const message = `SQS: SendMessageBatch: ${Code}: ${Message}`;
        outcomes[Number(Id)] = new BrokerFault(message, { permanent: SenderFault });
      }
    } catch (error) {
      for (const index of indexes) outcomes[index] = sqsFault(error);
    }
  }

  async receive({ limit, waitMs, signal }: ReceiveOptions): Promise<readonly IncomingMessage[]> {
    const seconds = Math.min(waitSecondsMax, Math.ceil(waitMs / 1_000));
    const system = ["SentTimestamp", "ApproximateReceiveCount", "MessageGroupId"];
    const request = {
      MaxNumberOfMessages: Math.min(batchMax, limit),
      WaitTimeSeconds: seconds,
      VisibilityTimeout: this.#options.visibilitySeconds,
      MessageSystemAttributeNames: system,
      AttributeNames: system,
      MessageAttributeNames: ["All"],
    };
    const attemptMs = seconds * 1_000 + responseMs;
    try {
      const options = { attemptMs, deadlineMs: responseMs, signal };
      const answer = await this.#call<{ Messages?: RawMessage[] }>(
        "ReceiveMessage",
        request,
        options,
      );
      return (answer.Messages ?? []).map((raw) => incoming(raw, this.#isOrdered));
    } catch (error) {
      if (signal.aborted) return [];
      throw error;
    }
  }

  ack(messages: readonly IncomingMessage[]): Promise<void> {
    return this.#forEach("DeleteMessageBatch", messages, {});
  }

  giveBack(messages: readonly IncomingMessage[]): Promise<void> {
    return this.#forEach("ChangeMessageVisibilityBatch", messages, { VisibilityTimeout: 0 });
  }

  async #forEach(
    operation: string,
    messages: readonly IncomingMessage[],
    more: object,
  ): Promise<void> {
    const calls: Promise<BatchAnswer>[] = [];
    for (let first = 0; first < messages.length; first += batchMax) {
      const entries = messages
        .slice(first, first + batchMax)
        .map(({ handle }, index) => ({ Id: `${index}`, ReceiptHandle: handle, ...more }));
      calls.push(this.#call<BatchAnswer>(operation, { Entries: entries }));
    }
    // A message that cannot be found any more has been delivered to others meanwhile.
    await Promise.all(calls);
  }

  async backlog(): Promise<number> {
    const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    const request = { AttributeNames: names };
    const answer = await this.#call<{ Attributes?: Record<string, string> }>(
      "GetQueueAttributes",
      request,
    );
    return names.reduce((sum, name) => sum + Number(answer.Attributes?.[name] ?? 0), 0);
  }

  async close(): Promise<void> {}

  async #call<Answer extends object>(
    operation: string,
    request: object,
    options: AwsCallOptions = {},
  ): Promise<Answer> {
    const { service, region } = this.#options;
    const url = await this.#urlOf();
    const full = { QueueUrl: url, ...request };
    const at = defined({ url, region });
    try {
      return await service.call<Answer>(at, operation, full, { isRepeatable: true, ...options });
    } catch (error) {
      // It may be there again under the same name, and another URL.
      if (isMissingQueue(error as BrokerFault)) this.#url = undefined;
      throw error;
    }
  }

  #urlOf(): Promise<string> {
    this.#url ??= this.#findUrl();
    this.#url.catch(() => {
      this.#url = undefined;
    });
    return this.#url;
  }

  async #findUrl(): Promise<string> {
    const { service, queue, region, create } = this.#options;
    if (/^https?:/.test(queue)) {
      if (service.mayCall(queue)) return queue;
      const message =
        `SQS: ${queue} is neither of AWS nor at the endpoint that is set: ` +
        "start the server with AWS_ENDPOINT_URL_SQS.";
      throw new BrokerFault(message, { permanent: true });
    }
    const at = defined({ region });
    const found = { QueueName: queue };
    const options = { isRepeatable: true };
    try {
      const { QueueUrl } = await service.call<Named>(at, "GetQueueUrl", found, options);
      return QueueUrl;
    } catch (error) {
      if (!isMissingQueue(error as BrokerFault)) throw error;
      if (create === undefined) throw missingQueue(queue, region, error as BrokerFault);
    }
    const made = { QueueName: queue, Attributes: create };
    return (await service.call<Named>(at, "CreateQueue", made, options)).QueueUrl;
  }
}

/**
 * Without an id the queue goes by the body, where it is set so: of two messages with the same body one
 * would be lost.
 */
function orderOf(key: string, id: string | undefined) {
  const group = groupPattern.test(key) ? key : hashText(key);
  return { MessageGroupId: group, ...(id && { MessageDeduplicationId: hashText(id) }) };
}

interface Named {
  readonly QueueUrl: string;
}

/** Indexes of messages that go together. What is too large gets its outcome here. */
function* batchesOf(
  messages: readonly OutgoingMessage[],
  outcomes: (BrokerFault | undefined)[],
): Iterable<readonly number[]> {
  let batch: number[] = [];
  let bytes = 0;
  for (const [index, message] of messages.entries()) {
    const size = bytesOf(message);
    const fault = faultOf(message, size);
    outcomes[index] = fault;
    if (fault !== undefined) continue;
    if (batch.length === batchMax || bytes + size > limits.brokerBatchBytesMax) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(index);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function faultOf({ headers = {} }: OutgoingMessage, size: number): BrokerFault | undefined {
  if (size > limits.brokerBatchBytesMax) {
    const message = `SQS: a message takes ${size} bytes, of ${limits.brokerBatchBytesMax} at most.`;
    return new BrokerFault(message, { permanent: true });
  }
  if (Object.keys(headers).length <= attributesMax) return undefined;
  const message = `SQS: a message has at most ${attributesMax} attributes.`;
  return new BrokerFault(message, { permanent: true });
}

function bytesOf({ body, headers = {} }: OutgoingMessage): number {
  const texts = Object.entries(headers).flat();
  const more = attributeBytes * Object.keys(headers).length;
  return [body, ...texts].reduce((sum, text) => sum + Buffer.byteLength(text), more);
}

function incoming(raw: RawMessage, isOrdered: boolean): IncomingMessage {
  const { MessageId: id, Body: body, ReceiptHandle: handle } = raw;
  const { Attributes = {}, MessageAttributes = {} } = raw;
  const headers = Object.entries(MessageAttributes).flatMap(([name, { StringValue }]) =>
    StringValue === undefined ? [] : [[name, StringValue] as const],
  );
  const { SentTimestamp, ApproximateReceiveCount, MessageGroupId } = Attributes;
  return {
    id,
    body,
    headers: Object.fromEntries(headers),
    sentAt: Number(SentTimestamp ?? 0),
    deliveries: Number(ApproximateReceiveCount ?? 1),
    handle,
    ...defined({ key: MessageGroupId, group: isOrdered ? MessageGroupId : undefined }),
  };
}
