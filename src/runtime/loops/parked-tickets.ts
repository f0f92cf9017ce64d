/**
 * Sends the tickets again that brokers have not taken. One server does it: the one that the first
 * partition prefers. Where a broker takes none, the others are not kept waiting.
 */
import type { Clock } from "../../base/clock.ts";
import type { TicketMessage } from "../../model/message.ts";
import type { Store } from "../../store/store.ts";
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

type Parked = TicketMessage & { readonly id: string };

export class ParkedTickets {
  readonly #options: ParkedTicketsOptions;
  readonly #rounds: Rounds;
  /** By the place that tickets are sent to: the last one that it did not take. */
  readonly #stoppedAt = new Map<string, string>();

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
    const begun = new Set<string>();
    let after = "";
    while (this.#rounds.isRunning) {
      const page = await store.listDocuments({ kind, after, limit: ticketsPerPage });
      if (page.length === 0) return;
      const tickets = page.map(({ id, body }): Parked => ({ ...JSON.parse(body), id }));
      const { to } = tickets[0]!;
      const goOnAfter = begun.has(to) ? undefined : this.#stoppedAt.get(to);
      begun.add(to);
      this.#stoppedAt.delete(to);
      const ofOne = tickets.filter((ticket) => ticket.to === to);
      after = goOnAfter ?? (await this.#sendSome(to, ofOne));
    }
  }

  /** Returns where the list goes on. */
  async #sendSome(to: string, [first, ...rest]: readonly Parked[]): Promise<string> {
    const last = rest.at(-1) ?? first!;
    // While the broker is away, one is enough to see that.
    if (!(await this.#send(first!))) return this.#stop(to, first!);
    const sent = await Promise.all(rest.map((ticket) => this.#send(ticket)));
    return sent.length === 0 || sent.some(Boolean) ? last.id : this.#stop(to, last);
  }

  /** The next round goes on behind it, as it may be this one alone that the broker does not take. */
  #stop(to: string, { id }: Parked): string {
    this.#stoppedAt.set(to, id);
    return parkedTicket.after(to);
  }

  async #send(ticket: Parked): Promise<boolean> {
    const { relay, store } = this.#options;
    const isDone = await relay.send(ticket);
    if (isDone) await store.deleteDocument({ kind: parkedTicket.kind, id: ticket.id });
    return isDone;
  }
}
