/**
 * Sends the tickets again that brokers have not taken. One server does it: the one that the first
 * partition prefers. Where a broker takes none, the others are not kept waiting.
 */
import type { Clock } from "../../base/clock.ts";
import type { TicketMessage } from "../../model/message.ts";
import type { Document, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Relay } from "../services/relay.ts";
import { parkedTicket } from "../shared/parked-tickets.ts";
import { Rounds } from "../shared/rounds.ts";

const ticketsPerPage = 100;

interface ParkedTicketsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly relay: Pick<Relay, "send">;
  readonly prefers: (partition: number) => boolean;
  readonly restMs: number;
}

export class ParkedTickets {
  readonly #options: ParkedTicketsOptions;
  readonly #rounds: Rounds;

  constructor(options: ParkedTicketsOptions) {
    const { clock, log, restMs } = options;
    this.#options = options;
    this.#rounds = new Rounds({
      clock,
      log,
      round: () => this.#sendAll().then(() => restMs),
      failedRestMs: restMs,
      failure: "parked tickets could not be sent",
    });
  }

  start(): void {
    this.#rounds.start(this.#options.restMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #sendAll(): Promise<void> {
    const { store, prefers } = this.#options;
    if (!prefers(0)) return;
    const { kind } = parkedTicket;
    let after = "";
    while (this.#rounds.isRunning) {
      const page = await store.listDocuments({ kind, after, limit: ticketsPerPage });
      if (page.length === 0) return;
      after = await this.#sendSome(page);
    }
  }

  /** Those of the first address. Returns where the list goes on. */
  async #sendSome(page: readonly Document[]): Promise<string> {
    const tickets = page.map(({ id, body }) => ({ id, ...(JSON.parse(body) as TicketMessage) }));
    const { to } = tickets[0]!;
    const ofOne = tickets.filter((ticket) => ticket.to === to);
    const [first, ...rest] = ofOne;
    // While the broker is away, one is enough to see that.
    if (!(await this.#send(first!))) return parkedTicket.after(to);
    const sent = await Promise.all(rest.map((ticket) => this.#send(ticket)));
    return sent.every(Boolean) ? ofOne.at(-1)!.id : parkedTicket.after(to);
  }

  async #send(ticket: TicketMessage & { readonly id: string }): Promise<boolean> {
    const { relay, store } = this.#options;
    const isDone = await relay.send(ticket);
    if (isDone) await store.deleteDocument({ kind: parkedTicket.kind, id: ticket.id });
    return isDone;
  }
}
