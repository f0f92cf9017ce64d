/** The facet of the outbox: messages to other executions, from the commit that sends to delivery. */
import type { NewMessage } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { ClaimDueRequest } from "./due.ts";

export interface OutboxMessage extends NewMessage {
  readonly key: ExecutionKey;
  /** How often it has been claimed, this time included. */
  readonly deliveries: number;
}

export interface ClaimOutboxAnswer {
  readonly messages: readonly OutboxMessage[];
  /** As in ClaimDueAnswer. */
  readonly nextDue?: number;
}

export interface AckOutboxRequest {
  readonly partition: number;
  readonly messages: readonly { readonly key: ExecutionKey; readonly id: string }[];
}

export interface OutboxStore {
  /** In order per source: a hidden message holds back what its source sent after it. */
  claimOutbox(request: ClaimDueRequest): Promise<ClaimOutboxAnswer>;
  /** Messages that were delivered; unknown ids are ignored. */
  ackOutbox(request: AckOutboxRequest): Promise<void>;
}
