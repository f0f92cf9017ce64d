/**
 * Brokers in memory: queues whose messages come again until they are acknowledged. A receiver that is
 * closed lets go of what it has. Any queue can be made to fail.
 */
import { defined } from "../../src/base/defined.ts";
import type { BrokerAddress } from "../../src/brokers/address.ts";
import type { BrokerPlaces } from "../../src/brokers/brokers.ts";
import type {
  BrokerFault,
  IncomingMessage,
  OutgoingMessage,
  ReceiveOptions,
  Receiver,
  Sender,
} from "../../src/brokers/message.ts";

class MemoryQueue {
  /** Its messages are in order by their keys. */
  isOrdered = false;
  readonly messages = new Map<string, IncomingMessage & { deliveries: number }>();
  /** Ids of those that a receiver has. */
  readonly taken = new Set<string>();
  fault: BrokerFault | undefined;
  #sent = 0;
  #wake = Promise.withResolvers<void>();

  send({ body, key, headers = {} }: OutgoingMessage): void {
    const id = `m-${++this.#sent}`;
    const rest = { deliveries: 0, sentAt: 1_700_000_000_000, headers, handle: "" };
    const group = this.isOrdered ? key : undefined;
    this.messages.set(id, { id, body, ...rest, ...defined({ key, group }) });
    this.wake();
  }

  /** What it holds is delivered again to whoever asks. */
  release(ids: Iterable<string>): void {
    for (const id of ids) this.taken.delete(id);
    this.wake();
  }

  wake(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  get woken(): Promise<void> {
    return this.#wake.promise;
  }

  check(): void {
    if (this.fault !== undefined) throw this.fault;
  }
}

class MemoryReceiver implements Receiver {
  readonly #queue: MemoryQueue;
  readonly #own = new Set<string>();

  constructor(queue: MemoryQueue) {
    this.#queue = queue;
  }

  async receive({ limit, signal }: ReceiveOptions): Promise<readonly IncomingMessage[]> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (;;) {
      this.#queue.check();
      const free = [...this.#queue.messages.values()].filter(
        ({ id }) => !this.#queue.taken.has(id),
      );
      if (free.length > 0 || signal.aborted) {
        return free.slice(0, signal.aborted ? 0 : limit).map((message) => {
          this.#queue.taken.add(message.id);
          this.#own.add(message.id);
          message.deliveries += 1;
          return { ...message, handle: `${message.id}:${message.deliveries}` };
        });
      }
      await Promise.race([this.#queue.woken, aborted]);
    }
  }

  async ack(messages: readonly IncomingMessage[]): Promise<void> {
    this.#queue.check();
    for (const { id } of messages) this.#queue.messages.delete(id);
    this.#queue.wake();
  }

  async giveBack(messages: readonly IncomingMessage[]): Promise<void> {
    this.#queue.release(messages.map(({ id }) => id));
  }

  async backlog(): Promise<number> {
    this.#queue.check();
    return this.#queue.messages.size;
  }

  async close(): Promise<void> {
    this.#queue.release(this.#own);
  }
}

export class MemoryBrokers implements BrokerPlaces {
  readonly #queues = new Map<string, MemoryQueue>();

  queue(name: string): MemoryQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new MemoryQueue();
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Another name of a queue. */
  alias(name: string, queue: MemoryQueue): void {
    this.#queues.set(name, queue);
  }

  reaches(): boolean {
    return true;
  }

  receiver(address: BrokerAddress): Receiver {
    return new MemoryReceiver(this.queue(nameOf(address)));
  }

  sender(address: BrokerAddress): Sender {
    const queue = this.queue(nameOf(address));
    return {
      async send(messages) {
        if (queue.fault !== undefined) return messages.map(() => queue.fault);
        for (const message of messages) queue.send(message);
        return messages.map(() => undefined);
      },
      async close() {},
    };
  }
}

function nameOf(address: BrokerAddress): string {
  return address.kind === "kafka" ? address.topic : address.queue;
}
