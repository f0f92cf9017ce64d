/**
 * Delivers what executions send to others. A message is acknowledged after its delivery holds;
 * until then it shows up again, so every delivery must be safe to repeat.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { OutboxMessage, Store } from "../../store/store.ts";
import { asError, type Logger } from "../../telemetry/log.ts";
import { isOfStore, logFault } from "../shared/faults.ts";
import { PartitionAlarm } from "./partition-alarm.ts";

/** Messages of one claim. */
export const outboxPerClaimMax = 100;

interface OutboxLoopOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Longest time without a look at a partition. */
  readonly restMs: (partition: number) => number;
  /** `undeliverable` says why it never can be. A rejection means: try again later. */
  readonly deliver: (message: OutboxMessage) => Promise<{ readonly undeliverable?: string }>;
  /** Reports to the source that a message was given up. */
  readonly giveUp: (message: OutboxMessage, reason: string) => Promise<void>;
}

export class OutboxLoop {
  readonly #options: OutboxLoopOptions;
  readonly #alarm: PartitionAlarm;

  constructor(options: OutboxLoopOptions) {
    this.#options = options;
    this.#alarm = new PartitionAlarm({
      partitions: options.store.partitions,
      clock: options.clock,
      ring: (partition) => this.#claim(partition),
      restMs: options.restMs,
    });
  }

  start(): void {
    this.#alarm.start();
  }

  note(partition: number): void {
    this.#alarm.note(partition, this.#options.clock.now());
  }

  stop(): Promise<void> {
    return this.#alarm.stop();
  }

  async #claim(partition: number): Promise<number | undefined> {
    const { store, clock, ids, log } = this.#options;
    const answer = await store.claimOutbox({
      partition,
      claimId: ids.nonce(),
      limit: outboxPerClaimMax,
      hideMs: limits.outboxHideMs,
      now: clock.now(),
    });
    const bySource = Map.groupBy(answer.messages, ({ key }) => key.id);
    // Sources do not wait for each other: what one sends to may be away.
    const delivered = await Promise.all(
      [...bySource].map(([source, messages]) =>
        this.#deliverAll(partition, messages).catch((error) => {
          logFault(log, "a message could not be acknowledged", error, { source });
          return false;
        }),
      ),
    );
    if (delivered.every(Boolean)) return answer.nextDue;
    const again = clock.now() + limits.outboxHideMs;
    return Math.min(again, answer.nextDue ?? again);
  }

  /** In order: after a failure the later ones wait as well, and all show up again. */
  async #deliverAll(partition: number, messages: readonly OutboxMessage[]): Promise<boolean> {
    for (const message of messages) {
      if (!(await this.#deliver(partition, message))) return false;
    }
    return true;
  }

  async #deliver(partition: number, message: OutboxMessage): Promise<boolean> {
    const { store, log, deliver, giveUp } = this.#options;
    try {
      const { undeliverable } = await deliver(message);
      if (undeliverable !== undefined) {
        log.warn("a message cannot be delivered", {
          source: message.key.id,
          reason: undeliverable,
        });
        await giveUp(message, undeliverable);
      }
    } catch (error) {
      const fault = asError(error);
      logFault(log, "a message could not be delivered", error, { source: message.key.id });
      if (message.deliveries < limits.outboxAttemptsMax) return false;
      if (isOfStore(error)) {
        // A store that is away or full is not a fault of the message.
        const { deliveries } = message;
        log.error("a message has not been delivered for a long time", {
          source: message.key.id,
          deliveries,
        });
        return false;
      }
      log.error("a message is abandoned", { source: message.key.id, error: fault });
      await giveUp(message, `It failed ${message.deliveries} times: ${fault.message}`);
    }
    await store.ackOutbox({ partition, messages: [{ key: message.key, id: message.id }] });
    return true;
  }
}
