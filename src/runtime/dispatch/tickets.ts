/**
 * The task queue on a broker. Of tasks that a commit has queued, tickets are offered; tickets are
 * received for queues that polls wait for here, as many as there is room, and each is tried at the
 * store. While the broker is away servers do what they do without one: they note what they queue
 * themselves, and look into the store for the rest.
 */
import { Backoff } from "../../base/backoff.ts";
import { BoundedMap } from "../../base/bounded-map.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { plainQueueKey } from "../../model/ids.ts";
import type { Delivery, Ticket, TicketQueue } from "../../queue/queue.ts";
import type { Logger } from "../../telemetry/log.ts";
import { BrokerHealth } from "./broker-health.ts";
import type { TicketClaims } from "./ticket-claims.ts";
import { TicketOffers } from "./ticket-offers.ts";

/** Most that one call receives: SQS gives no more. */
const perReceive = 10;
const receiveWaitMs = 20_000;
/** The same while other queues wait for their turn, or the broker is away: a success shows that it is back. */
const shortWaitMs = 1_000;
/** Rest of a queue after a receive that failed; longer each time. */
const restMsMin = 500;
const restMsMax = 3_000;

interface TicketsOptions {
  readonly broker: TicketQueue;
  readonly clock: Clock;
  readonly log: Logger;
  readonly claims: Pick<TicketClaims, "roomFor" | "claim">;
  /** Notes that a queue may hold something: polls look there themselves. */
  readonly hint: (ticket: Ticket) => void;
  readonly countTickets: (event: TicketEvent, tickets: number) => void;
}

export type TicketEvent =
  | "offered"
  | "unsent"
  | "received"
  | "claimed"
  | "stale"
  | "returned"
  | "noted";

/** Of a queue: since when tickets that were offered here have not come out at its other end. */
interface Backlog {
  since: number;
  latest: number;
}

export class Tickets {
  readonly #options: TicketsOptions;
  readonly #health: BrokerHealth;
  readonly #offers: TicketOffers;
  readonly #abort = new AbortController();
  readonly #serving = new Set<string>();
  /** Queues that wait for their turn to be received from. */
  readonly #line = new Set<string>();
  /** Queues that a poll without time to wait has asked for. */
  readonly #looked = new Set<string>();
  readonly #backlogs = new BoundedMap<string, Backlog>(limits.unpolledQueuesMax);

  constructor(options: TicketsOptions) {
    this.#options = options;
    const { clock, log, broker, hint, countTickets: count } = options;
    const { name } = broker.traits;
    const creation = (queue: string) => broker.creation(queue);
    this.#health = new BrokerHealth({ name, clock, log, creation });
    this.#offers = new TicketOffers({ broker, clock, health: this.#health, hint, count });
  }

  /** Of one queue at least. */
  get isAway(): boolean {
    return this.#health.isAway;
  }

  /** The commit that queued this task holds. */
  offer(ticket: Ticket): void {
    const isAdded = this.#offers.add(ticket);
    if (!isAdded || this.#health.isAwayFor(plainQueueKey(ticket.queue))) this.#options.hint(ticket);
    if (isAdded) this.#noteOffered(ticket);
  }

  /** A poll waits for tasks of these queues; or it only looks, and goes away at once. */
  wanted(queues: readonly string[], { looks }: { readonly looks: boolean }): void {
    for (const key of queues) {
      const queue = plainQueueKey(key);
      if (looks) this.#looked.add(queue);
      this.#serve(queue);
    }
  }

  /**
   * Whether tasks of this queue have waited for longer than this: then new ones are not handed to
   * polls before them.
   */
  isBehind(queue: string, overMs: number): boolean {
    const plain = plainQueueKey(queue);
    const backlog = this.#health.isAwayFor(plain) ? undefined : this.#backlogs.get(plain);
    return backlog !== undefined && this.#options.clock.now() - backlog.since > overMs;
  }

  stop(): void {
    this.#abort.abort();
  }

  get #isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  #serve(queue: string): void {
    if (this.#isStopped || this.#serving.has(queue)) return;
    if (this.#serving.size >= limits.ticketReceivesMax) {
      this.#line.add(queue);
      return;
    }
    this.#serving.add(queue);
    void this.#receiveFor(queue).then(() => {
      this.#serving.delete(queue);
      this.#health.forget(queue);
      const [next] = this.#line;
      if (next === undefined) return;
      this.#line.delete(next);
      this.#serve(next);
      if (this.#options.claims.roomFor(queue) > 0) this.#serve(queue);
    });
  }

  /** Until no poll waits for it any more, or others are to have their turn. */
  async #receiveFor(queue: string): Promise<void> {
    const { broker, claims } = this.#options;
    const { signal } = this.#abort;
    const rests = new Backoff(restMsMin, restMsMax);
    while (!this.#isStopped) {
      const isLooked = this.#looked.delete(queue);
      const free = claims.roomFor(queue);
      if (free === 0 && !isLooked) return;
      const isPressed = this.#line.size > 0;
      const isShort = isPressed || this.#health.isAwayFor(queue);
      const waitMs = free === 0 ? 0 : isShort ? shortWaitMs : receiveWaitMs;
      const limit = free === 0 ? perReceive : Math.min(perReceive, free);
      try {
        const deliveries = await broker.receive({ queue, limit, waitMs, signal });
        if (this.#isStopped && deliveries.length === 0) return;
        this.#health.succeeded("receive", queue);
        rests.reset();
        this.#noteReceived(queue, deliveries);
        void this.#try(queue, deliveries, isLooked);
      } catch (error) {
        if (this.#isStopped) return;
        this.#health.failed("receive", queue, error);
        await pause(rests.next(), this.#options.clock, signal);
      }
      if (isPressed) return;
    }
  }

  /** Claims go on while the next tickets are received: their places are taken at once. */
  async #try(queue: string, deliveries: readonly Delivery[], isLooked: boolean): Promise<void> {
    if (deliveries.length === 0) return;
    const { broker, claims, hint, countTickets: count } = this.#options;
    count("received", deliveries.length);
    const used: Delivery[] = [];
    const spare: Delivery[] = [];
    await Promise.all(
      deliveries.map(async (delivery) => {
        const outcome = this.#isStopped ? "no-room" : await claims.claim(delivery.ticket);
        if (outcome === "no-room" && broker.traits.competing && !isLooked) {
          spare.push(delivery);
          return;
        }
        used.push(delivery);
        if (outcome === "claimed" || outcome === "stale") return count(outcome, 1);
        count("noted", 1);
        hint(delivery.ticket);
      }),
    );
    count("returned", spare.length);
    const done = [broker.settle(used), broker.giveBack(spare)];
    for (const one of await Promise.allSettled(done)) {
      if (one.status === "rejected") this.#health.failed("settle", queue, one.reason);
      else this.#health.succeeded("settle", queue);
    }
  }

  #noteOffered({ queue, at }: Ticket): void {
    const plain = plainQueueKey(queue);
    const backlog = this.#backlogs.get(plain);
    if (backlog === undefined) this.#backlogs.set(plain, { since: at, latest: at });
    else backlog.latest = Math.max(backlog.latest, at);
  }

  /** Tickets come roughly in the order of offering. None at all: whatever was offered is taken. */
  #noteReceived(queue: string, deliveries: readonly Delivery[]): void {
    const backlog = this.#backlogs.get(queue);
    if (backlog === undefined) return;
    const newest = Math.max(...deliveries.map(({ ticket }) => ticket.at));
    if (deliveries.length === 0 || newest >= backlog.latest) this.#backlogs.delete(queue);
    else backlog.since = Math.max(backlog.since, newest);
  }
}
