/** What a runtime is made of, and what an operator has set for it. */
import type { Clock, Ids } from "../base/clock.ts";
import type { BrokerPlaces } from "../brokers/brokers.ts";
import type { HttpClient } from "../http/client.ts";
import type { TicketQueue } from "../queue/queue.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store/store.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "./reporting/tracing.ts";

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
}
