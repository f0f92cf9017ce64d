/**
 * The store contract: about twenty atomic operations, without knowledge of workflows, in facets
 * (contract/). A store is built and tested facet by facet: see docs/design/store.md.
 *
 * - Ids, tokens, seeds and `now` are arguments; a store never makes one and never reads a clock.
 * - Expected outcomes are returned. Only lost infrastructure throws, always a StoreFault, which says
 *   whether the operation was `not_applied` or its outcome is `unknown`.
 * - A call repeated with the same ids returns what the first did.
 * - Checks come first, then all writes: an operation happens wholly or not at all.
 * - `state`, `header`, `parameters`, `body` and fields of data are opaque text.
 * - Every operation touches one partition (documents, servers and pressure: none), so that
 *   it can be one script on one node. Sizes are bounded by limits.ts: a commit by commitRowsMax and
 *   commitBytesMax; of a creation the fields of data are not counted among the rows.
 *
 * Sketched before an operation is added: DynamoDB (a transaction of 100 items, 400 kB an item) and
 * Cassandra (a conditional batch in one partition) must be able to do it.
 */
import type { DocumentStore } from "./contract/documents.ts";
import type { DueStore } from "./contract/due.ts";
import type { ExecutionStore } from "./contract/executions.ts";
import type { ListStore } from "./contract/lists.ts";
import type { NodeStore } from "./contract/node.ts";
import type { OutboxStore } from "./contract/outbox.ts";
import type { ServerStore } from "./contract/servers.ts";
import type { TaskStore } from "./contract/tasks.ts";
import type { TransferStore } from "./contract/transfer.ts";

export type * from "./contract/documents.ts";
export type * from "./contract/due.ts";
export type * from "./contract/executions.ts";
export { faultOutcome, StoreFault } from "./contract/fault.ts";
export type * from "./contract/lists.ts";
export type * from "./contract/node.ts";
export type * from "./contract/outbox.ts";
export type * from "./contract/servers.ts";
export type * from "./contract/tasks.ts";
export type * from "./contract/transfer.ts";

export interface Store
  extends ExecutionStore,
    ListStore,
    TaskStore,
    DueStore,
    OutboxStore,
    DocumentStore,
    ServerStore,
    NodeStore,
    TransferStore {}
