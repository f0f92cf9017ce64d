/** Tickets that a broker has not taken, as documents: those of one place stand together. */
import type { TicketMessage } from "../../model/message.ts";
import { lastCharacter } from "../../store/kit/order.ts";

const kind = "parked-ticket";
/** In no address. */
const separator = "\n";

type Ticket = Pick<TicketMessage, "taskId" | "to">;

export const parkedTicket = {
  kind,
  document({ taskId, to }: Ticket) {
    return { kind, id: `${to}${separator}${taskId}`, body: JSON.stringify({ taskId, to }) };
  },
  /** The place in the list after all tickets of an address. */
  after(to: string): string {
    return `${to}${separator}${lastCharacter}`;
  },
} as const;
