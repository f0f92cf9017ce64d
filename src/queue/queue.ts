/**
 * Tickets of queued tasks on a broker: hints that bring a task to a server with a poll that waits for
 * it. The store owns tasks and leases: a ticket that is lost, doubled, late or made up does no harm.
 */
import type { ExecutionKey } from "../model/ids.ts";

/** "This task may be ready." */
export interface Ticket {
  /** The key of its queue in the store. */
  readonly queue: string;
  readonly key: ExecutionKey;
  readonly taskId: string;
  /** When it was offered. */
  readonly at: number;
}

/** A ticket as the broker has delivered it. */
export interface Delivery {
  readonly ticket: Ticket;
  /** For the broker alone. */
  readonly handle: unknown;
}

export interface TicketReceive {
  /** Key of a plain queue: tickets of its queue for JSON come with it. */
  readonly queue: string;
  readonly limit: number;
  /** How long it waits for a first one. */
  readonly waitMs: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** What goes wrong is thrown; the caller looks into the store instead, and tries again. */
export interface TicketQueue {
  readonly traits: {
    /** "SQS": begins no sentence. */
    readonly name: string;
    /** One that is given back reaches any server. Otherwise it would come here again. */
    readonly competing: boolean;
  };
  /** All of them are of one queue, by the key of the plain one. */
  offer(queue: string, tickets: readonly Ticket[]): Promise<void>;
  receive(request: TicketReceive): Promise<readonly Delivery[]>;
  /** They are used up, whatever came of them. */
  settle(deliveries: readonly Delivery[]): Promise<void>;
  /** Another server is to have them. */
  giveBack(deliveries: readonly Delivery[]): Promise<void>;
  /** The command that creates what this needs for a queue, for people. */
  creation(queue: string): string;
  close(): Promise<void>;
}
