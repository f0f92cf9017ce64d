/** What consumers of a broker do: they claim a task by its ticket, and complete it. */
import type { TaskOutcome } from "../../model/event.ts";
import type { JsonText } from "../../model/json.ts";
import type { PolledTask } from "./polled-task.ts";

/** Of which task a ticket is. */
export interface TicketSubject {
  readonly taskId: string;
  /** Name of the user action. */
  readonly action: string;
}

export interface TicketClaimRequest {
  readonly ticket: string;
  readonly workerId: string;
  /** How long the worker may be silent; 0: until the end of the attempt. */
  readonly leaseMs: number;
}

/**
 * Why a task cannot be had. `leased`: another worker has it, until then or longer. `held`: its execution
 * is paused. `done`: the result of a worker has ended the attempt. `stale`: it is over otherwise.
 */
export type TicketRefusal =
  | { readonly status: "leased"; readonly leaseUntil: number }
  | { readonly status: "held" | "done" | "stale" };

export type TicketClaim = { readonly status: "claimed"; readonly task: PolledTask } | TicketRefusal;

export interface TicketResult {
  readonly ticket: string;
  readonly workerId: string;
  readonly outcome: TaskOutcome;
}

export interface TicketDesk {
  /** Throws INVALID_ARGUMENT for what no server of this store has made. */
  readTicket(ticket: string): Promise<TicketSubject>;
  claimByTicket(request: TicketClaimRequest): Promise<TicketClaim>;
  /** Claims and settles at once. */
  completeByTicket(result: TicketResult): Promise<{ readonly status: "accepted" } | TicketRefusal>;
  /** Throws NOT_FOUND when the task is over. */
  ticketParameters(ticket: string): Promise<JsonText>;
}
