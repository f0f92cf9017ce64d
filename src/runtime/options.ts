/** What a runtime is made of, and what an operator has set for it. */

import type { Clock, Ids } from "../base/clock.ts";
import type { BrokerPlaces } from "../brokers/brokers.ts";
import type { HttpClient } from "../http/client.ts";
import type { TicketQueue } from "../queue/queue.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { PeerLine, SendToPeer } from "./peers/peer-line.ts";
import type { Tracing } from "./reporting/tracing.ts";
import type { Orchestrator, ServerView } from "./shared/orchestrator.ts";

export interface RuntimeOptions {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly namespace: string;
  /** True: finished executions are kept for their whole retention, even when the store is full. */
  readonly keepRetention?: boolean;
  /** Makes the calls of http actions. Absent: this server takes none of their tasks. */
  readonly http?: Pick<HttpClient, "send">;
  /** See formats.ts. */
  readonly formatDelayMs?: number;
  readonly onOutdated?: (reason: string) => void;
  /** Absent: limits.tombstoneSecondsDefault. */
  readonly tombstoneSeconds?: number;
  /** Brings queued tasks to servers; absent: the store alone does. */
  readonly taskQueue?: TicketQueue | undefined;
  /** Absent: nothing is traced. */
  readonly tracing?: Tracing | undefined;
  /** Where sources have their messages from, and tickets go to. Absent: this server has none. */
  readonly brokers?: BrokerPlaces;
  /** For stores without wake-ups: how a message is sent to another server. Absent: none is. */
  readonly sendToPeer?: SendToPeer;
}

export interface Runtime extends Orchestrator {
  /** What other servers of a store without wake-ups send; absent: the store has them. */
  readonly peers?: PeerLine;
  /** Begins to work off what the store holds, and shows this server among the live ones. */
  open(self: ServerView): Promise<void>;
  /** Ends polls, turns new ones away; what is under way goes on. */
  drain(): void;
  /** After `drain`: waits for what is under way, for limits.drainMs at most. */
  close(): Promise<void>;
}
