/**
 * Delivers what executions send to others. A message is acknowledged after its delivery holds; until
 * then it shows up again, so every delivery must be safe to repeat.
 */
import type { Clock, Ids } from "../clock.ts";
import { limits } from "../limits.ts";
import { asError, type Logger } from "../log.ts";
import type { OutboxMessage, Store } from "../store/store.ts";
import { isOfStore, logFault } from "./faults.ts";
import { PartitionAlarm } from "./partition-alarm.ts";

export interface OutboxLoopParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Longest time without a look at a partition. */
  readonly restMs: (partition: number) => number;
  /** `undeliverable` says why it never can be. A rejection means: try again later. */
  readonly deliver: (message: OutboxMessage) => Promise<{ readonly undeliverable?: string }>;
  /** Tells the source that a message was given up. */
  readonly giveUp: (message: OutboxMessage, reason: string) => Promise<void>;
}

export class OutboxLoop {
  readonly #parts: OutboxLoopParts;
  readonly #alarm: PartitionAlarm;

  constructor(parts: OutboxLoopParts) {
    this.#parts = parts;
    this.#alarm = new PartitionAlarm({
      partitions: parts.store.partitions,
      clock: parts.clock,
      ring: (partition) => this.#claim(partition),
      restMs: parts.restMs,
    });
  }

  start(): void {
    this.#alarm.start();
  }

  note(partition: number): void {
    this.#alarm.note(partition, this.#parts.clock.now());
  }

  stop(): Promise<void> {
    return this.#alarm.stop();
  }

  async #claim(partition: number): Promise<number | undefined> {
    const { store, clock, ids, log } = this.#parts;
    const answer = await store.claimOutbox({
      partition,
      claimId: ids.nonce(),
      limit: limits.outboxPerClaimMax,
      hideMs: limits.outboxHideMs,
      now: clock.now(),
    });
    const blocked = new Set<string>();
    // In order for each source: after a failure its later messages wait as well.
    for (const message of answer.messages) {
      if (blocked.has(message.key.id)) continue;
      const delivered = await this.#deliver(partition, message).catch((error) => {
        // It shows up again; the others of this claim need not wait for that.
        logFault(log, "a message could not be put away", error, { source: message.key.id });
        return false;
      });
      if (!delivered) blocked.add(message.key.id);
    }
    if (blocked.size > 0) return clock.now() + limits.outboxHideMs;
    return answer.nextDue;
  }

  async #deliver(partition: number, message: OutboxMessage): Promise<boolean> {
    const { store, log, deliver, giveUp } = this.#parts;
    try {
      const { undeliverable } = await deliver(message);
      if (undeliverable !== undefined) {
        log.warn("a follow-up cannot be started", {
          source: message.key.id,
          reason: undeliverable,
        });
        await giveUp(message, undeliverable);
      }
    } catch (error) {
      const fault = asError(error);
      logFault(log, "a message could not be delivered", error, { source: message.key.id });
      // That the store is away or full is not for its sake.
      if (isOfStore(error) || message.deliveries < limits.outboxAttemptsMax) return false;
      log.error("a message is given up", { source: message.key.id, error: fault });
      await giveUp(message, `It failed ${message.deliveries} times: ${fault.message}`);
    }
    await store.ackOutbox({ partition, messages: [{ key: message.key, id: message.id }] });
    return true;
  }
}
