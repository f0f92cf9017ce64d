/**
 * The task queue on a broker. Of tasks that a commit has queued, tickets are offered; tickets are
 * received for queues that polls wait for here, as many as there is room, and each is tried at the
 * store. While the broker is away servers do what they do without one: they note what they queue
 * themselves, and look into the store for the rest.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { type Clock, pause } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { plainQueueKey } from "../../model/ids.ts";
import type { Delivery, Ticket, TicketQueue } from "../../queue/queue.ts";
import type { Logger } from "../../telemetry/log.ts";
import { Outage } from "../../telemetry/outage.ts";
import type { TicketClaims } from "./ticket-claims.ts";

/** Most that one call receives: SQS gives no more. */
const perReceive = 10;
const receiveWaitMs = 20_000;
/** The same while other queues wait for their turn. */
const turnWaitMs = 1_000;
/** Rest of a queue after a receive that failed; longer each time. */
const restMsMin = 500;
const restMsMax = 10_000;
/** What the broker has not confirmed by then is noted as if it had failed. */
const offerMsMax = 1_000;
const offersAtOnce = 4;
/** Tickets that wait for the broker; beyond that they are noted here alone. */
const offeredMax = 10_000;

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
  readonly #outage: Outage;
  readonly #abort = new AbortController();
  readonly #serving = new Set<string>();
  /** Queues that wait for their turn to be received from. */
  readonly #line = new Set<string>();
  /** Queues that a poll without time to wait has asked for. */
  readonly #looked = new Set<string>();
  readonly #backlogs = new BoundedMap<string, Backlog>(limits.unpolledQueuesMax);
  #unsent: Ticket[] = [];
  #isFlushDue = false;
  #offers = 0;

  constructor(options: TicketsOptions) {
    this.#options = options;
    const { clock, log, broker } = options;
    this.#outage = new Outage(`The task queue (${broker.traits.name})`, { clock, log });
  }

  get isAway(): boolean {
    return this.#outage.open;
  }

  /** The commit that queued this task holds. */
  offer(ticket: Ticket): void {
    const { clock, hint } = this.#options;
    if (this.isAway) hint(ticket);
    if (this.#unsent.length >= offeredMax) {
      if (!this.isAway) hint(ticket);
      return;
    }
    this.#unsent.push(ticket);
    this.#noteOffered(ticket);
    if (this.#isFlushDue || this.#offers >= offersAtOnce) return;
    this.#isFlushDue = true;
    clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#unsent.length === 0) return;
    const { broker, clock, hint, countTickets: count } = this.#options;
    const tickets = this.#unsent;
    this.#unsent = [];
    const wasAway = this.isAway;
    let isNoted = wasAway;
    const note = () => {
      if (!isNoted) for (const ticket of tickets) hint(ticket);
      isNoted = true;
    };
    const cancel = clock.after(offerMsMax, note);
    this.#offers += 1;
    broker
      .offer(tickets)
      .then(
        () => {
          this.#outage.succeeded();
          count("offered", tickets.length);
        },
        (error) => {
          this.#outage.failed(error);
          count("unsent", tickets.length);
          note();
        },
      )
      .finally(() => {
        cancel();
        this.#offers -= 1;
        this.#flush();
      });
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
    const backlog = this.isAway ? undefined : this.#backlogs.get(plainQueueKey(queue));
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
    let restMs = restMsMin;
    while (!this.#isStopped) {
      const isLooked = this.#looked.delete(queue);
      const free = claims.roomFor(queue);
      if (free === 0 && !isLooked) return;
      const isPressed = this.#line.size > 0;
      const waitMs = free === 0 ? 0 : isPressed ? turnWaitMs : receiveWaitMs;
      const limit = free === 0 ? perReceive : Math.min(perReceive, free);
      try {
        const deliveries = await broker.receive({ queue, limit, waitMs, signal });
        if (this.#isStopped && deliveries.length === 0) return;
        this.#outage.succeeded();
        restMs = restMsMin;
        this.#noteReceived(queue, deliveries);
        void this.#try(deliveries, isLooked);
      } catch (error) {
        if (this.#isStopped) return;
        this.#outage.failed(error);
        await pause(restMs, this.#options.clock, signal);
        restMs = Math.min(restMsMax, 2 * restMs);
      }
      if (isPressed) return;
    }
  }

  /** Claims go on while the next tickets are received: their places are taken at once. */
  async #try(deliveries: readonly Delivery[], isLooked: boolean): Promise<void> {
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
      if (one.status === "rejected") this.#outage.failed(one.reason);
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
