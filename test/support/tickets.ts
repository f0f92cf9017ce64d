/** Tickets as consumers of a broker in memory get them. */
import type { MemoryBrokers } from "./memory-brokers.ts";

export interface Ticket {
  readonly ticket: string;
  readonly executionId: string;
  readonly attempt: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  readonly [member: string]: any;
}

/** The next message of a queue, when it is there. It does not come again. */
export async function takeTicket(brokers: MemoryBrokers, name: string): Promise<Ticket> {
  const queue = brokers.queue(name);
  for (;;) {
    const [message] = queue.messages.values();
    if (message !== undefined) {
      queue.messages.delete(message.id);
      return JSON.parse(message.body);
    }
    await queue.woken;
  }
}
