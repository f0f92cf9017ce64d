/** Which operation belongs to which facet: stores are measured, and tested, by this table. */
import type { Store } from "./store.ts";

type Calls = {
  [Name in keyof Store]-?: NonNullable<Store[Name]> extends (request: never) => Promise<unknown>
    ? Name
    : never;
}[keyof Store];

/** What goes to the store and may fail, but for what runs in the background. */
export type Operation = Exclude<
  Calls,
  "close" | "indexExecutions" | "onWake" | "sendNote" | "raiseFormat"
>;

export type Facet =
  | "executions"
  | "lists"
  | "tasks"
  | "due"
  | "outbox"
  | "documents"
  | "servers"
  | "node"
  | "transfer";

export const facetOf: Readonly<Record<Operation, Facet>> = {
  create: "executions",
  load: "executions",
  commit: "executions",
  remove: "executions",
  holdings: "executions",
  history: "executions",
  list: "lists",
  claimTasks: "tasks",
  claimTask: "tasks",
  readTask: "tasks",
  extendLeases: "tasks",
  releaseTasks: "tasks",
  queueStats: "tasks",
  queueHints: "tasks",
  claimDue: "due",
  listTimers: "due",
  claimOutbox: "outbox",
  ackOutbox: "outbox",
  getDocument: "documents",
  putDocument: "documents",
  listDocuments: "documents",
  deleteDocument: "documents",
  beatServer: "servers",
  listServers: "servers",
  leaveServer: "servers",
  pressure: "node",
  documentKinds: "transfer",
  restoreDocument: "transfer",
  dump: "transfer",
  restore: "transfer",
};

export const operations = Object.keys(facetOf) as readonly Operation[];
