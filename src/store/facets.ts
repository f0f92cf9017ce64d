/** Which operation belongs to which facet: stores are measured, and tested, by this table. */
import type { Store } from "./store.ts";

/** What every store has, and what may fail because it goes to the store. */
export type Operation = Exclude<
  {
    [Name in keyof Store]-?: Store[Name] extends (request: never) => Promise<unknown>
      ? Name
      : never;
  }[keyof Store],
  "close"
>;

export type Facet =
  | "executions"
  | "lists"
  | "tasks"
  | "due"
  | "outbox"
  | "documents"
  | "servers"
  | "node";

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
};

export const operations = Object.keys(facetOf) as readonly Operation[];
