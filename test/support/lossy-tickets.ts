/**
 * A broker for tests, in memory, that does all that brokers may do to tickets: it loses them, gives
 * them out twice, in another order, late, and is away for a while. Tickets that nobody settles come again.
 */
import type { Clock } from "../../src/base/clock.ts";
import { plainQueueKey } from "../../src/model/ids.ts";
import type { Delivery, Ticket, TicketQueue, TicketReceive } from "../../src/queue/queue.ts";
import type { Chance } from "./chance.ts";

export interface Losses {
  /** Percent of tickets. */
  readonly lost: number;
  readonly doubled: number;
  /** Calls take so long at most. */
  readonly delayMs: number;
}

export const badLosses: Losses = { lost: 20, doubled: 20, delayMs: 20 };

const hiddenMs = 5_000;

export class LossyBroker {
  readonly #chance: Chance;
  readonly #losses: Losses;
  readonly #tickets = new Map<string, Ticket[]>();
  readonly #waiting = new Map<string, Set<() => void>>();
  isAway = false;
  /** By the keys of queues: why calls for them fail. */
  readonly faults = new Map<string, Error>();
  offered = 0;
  received = 0;

  constructor(chance: Chance, losses: Losses = badLosses) {
    this.#chance = chance;
    this.#losses = losses;
  }

  /** As one server reaches it. */
  connect(clock: Clock): TicketQueue {
    const hidden = new Map<Delivery, () => void>();
    const call = async (work: () => void, queue = "") => {
      await this.#delay(clock);
      if (this.isAway) throw new Error("the broker is away");
      const fault = this.faults.get(queue);
      if (fault !== undefined) throw fault;
      work();
    };
    const reveal = (deliveries: readonly Delivery[], comesAgain: boolean) => {
      for (const delivery of deliveries) {
        hidden.get(delivery)?.();
        hidden.delete(delivery);
        if (comesAgain) this.#put(delivery.ticket);
      }
    };
    return {
      traits: { name: "a lossy broker", competing: true },
      offer: (queue, tickets) => call(() => this.#offer(tickets), queue),
      receive: async (request) => {
        await call(() => {}, request.queue);
        const tickets = await this.#receive(request, clock);
        const deliveries = tickets.map((ticket) => ({ ticket, handle: undefined }));
        for (const delivery of deliveries) {
          hidden.set(
            delivery,
            clock.after(hiddenMs, () => reveal([delivery], true)),
          );
        }
        this.received += deliveries.length;
        return deliveries;
      },
      settle: (deliveries) => call(() => reveal(deliveries, false)),
      giveBack: (deliveries) => call(() => reveal(deliveries, true)),
      creation: (queue) => `create ${queue}`,
      close: async () => {},
    };
  }

  #delay(clock: Clock): Promise<void> {
    const ms = this.#chance.below(this.#losses.delayMs + 1);
    return new Promise((resolve) => void clock.after(ms, resolve));
  }

  #offer(tickets: readonly Ticket[]): void {
    this.offered += tickets.length;
    for (const ticket of tickets) {
      if (this.#chance.percent(this.#losses.lost)) continue;
      this.#put(ticket);
      if (this.#chance.percent(this.#losses.doubled)) this.#put(ticket);
    }
  }

  /** Anywhere in the line. */
  #put(ticket: Ticket): void {
    const queue = plainQueueKey(ticket.queue);
    const line = this.#tickets.get(queue) ?? [];
    this.#tickets.set(queue, line);
    line.splice(this.#chance.below(line.length + 1), 0, ticket);
    for (const wake of this.#waiting.get(queue) ?? []) wake();
  }

  async #receive(request: TicketReceive, clock: Clock): Promise<readonly Ticket[]> {
    const { queue, limit, waitMs, signal } = request;
    const line = () => this.#tickets.get(queue) ?? [];
    if (line().length === 0 && waitMs > 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiting = this.#waiting.get(queue) ?? new Set();
      this.#waiting.set(queue, waiting);
      waiting.add(resolve);
      const cancel = clock.after(waitMs, resolve);
      signal.addEventListener("abort", () => resolve());
      await promise;
      waiting.delete(resolve);
      cancel();
      // By its clock: whoever has ended meanwhile takes none.
      await this.#delay(clock);
    }
    return line().splice(0, 1 + this.#chance.below(limit));
  }
}
