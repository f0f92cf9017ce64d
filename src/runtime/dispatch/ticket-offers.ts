/**
 * Tickets on their way to the broker, by queue, so that one that is slow or refused holds up no other.
 * What does not get there in time is noted here.
 */
import type { Clock } from "../../base/clock.ts";
import { plainQueueKey } from "../../model/ids.ts";
import type { Ticket, TicketQueue } from "../../queue/queue.ts";
import type { BrokerHealth } from "./broker-health.ts";

/** What the broker has not confirmed by then is noted as if it had failed. */
const offerMsMax = 1_000;
/** Of one queue. */
const offersAtOnce = 4;
/** Tickets that wait for the broker; beyond that they are noted here alone. */
const waitingMax = 10_000;

interface TicketOffersOptions {
  readonly broker: Pick<TicketQueue, "offer">;
  readonly clock: Clock;
  readonly health: BrokerHealth;
  /** Notes that a queue may hold something: polls look there themselves. */
  readonly hint: (ticket: Ticket) => void;
  readonly count: (event: "offered" | "unsent", tickets: number) => void;
}

interface Line {
  unsent: Ticket[];
  isFlushDue: boolean;
  underWay: number;
}

export class TicketOffers {
  readonly #options: TicketOffersOptions;
  readonly #lines = new Map<string, Line>();
  #waiting = 0;

  constructor(options: TicketOffersOptions) {
    this.#options = options;
  }

  /** False: too many wait already. */
  add(ticket: Ticket): boolean {
    if (this.#waiting >= waitingMax) return false;
    const queue = plainQueueKey(ticket.queue);
    const line = this.#lines.get(queue) ?? { unsent: [], isFlushDue: false, underWay: 0 };
    this.#lines.set(queue, line);
    line.unsent.push(ticket);
    this.#waiting += 1;
    if (line.isFlushDue || line.underWay >= offersAtOnce) return true;
    line.isFlushDue = true;
    this.#options.clock.soon(() => {
      line.isFlushDue = false;
      this.#flush(queue, line);
    });
    return true;
  }

  #flush(queue: string, line: Line): void {
    const tickets = line.unsent;
    line.unsent = [];
    this.#waiting -= tickets.length;
    if (tickets.length > 0) {
      line.underWay += 1;
      void this.#send(queue, tickets).then(() => {
        line.underWay -= 1;
        this.#flush(queue, line);
      });
    } else if (line.underWay === 0 && !line.isFlushDue) this.#lines.delete(queue);
  }

  async #send(queue: string, tickets: readonly Ticket[]): Promise<void> {
    const { broker, clock, health, hint, count } = this.#options;
    let isNoted = health.isAwayFor(queue);
    const note = () => {
      if (!isNoted) for (const ticket of tickets) hint(ticket);
      isNoted = true;
    };
    const cancel = clock.after(offerMsMax, note);
    try {
      await broker.offer(queue, tickets);
      health.succeeded("send", queue);
      count("offered", tickets.length);
    } catch (error) {
      health.failed("send", queue, error);
      count("unsent", tickets.length);
      note();
    } finally {
      cancel();
    }
  }
}
