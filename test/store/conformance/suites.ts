/** The suites of the store contract, one for each facet, in the order in which a store is built. */
import type { Facet } from "../../../src/store/facets.ts";
import { documentTests } from "./documents.ts";
import { dueTests } from "./due.ts";
import { executionTests } from "./executions.ts";
import { listTests } from "./lists.ts";
import { nodeTests } from "./node.ts";
import { outboxTests } from "./outbox.ts";
import { removalTests } from "./removal.ts";
import { serverTests } from "./servers.ts";
import type { Test } from "./subject.ts";
import { taskTests } from "./tasks.ts";
import { transferTests } from "./transfer.ts";

interface Suite {
  /** Facets that its tests use besides its own. */
  readonly on: readonly Facet[];
  readonly registers: readonly ((test: Test) => void)[];
}

export const suites: Readonly<Record<Facet, Suite>> = {
  documents: { on: [], registers: [documentTests] },
  servers: { on: [], registers: [serverTests] },
  node: { on: [], registers: [nodeTests] },
  executions: { on: [], registers: [executionTests, removalTests] },
  lists: { on: ["executions"], registers: [listTests] },
  tasks: { on: ["executions"], registers: [taskTests] },
  due: { on: ["executions"], registers: [dueTests] },
  outbox: { on: ["executions"], registers: [outboxTests] },
  transfer: {
    on: ["executions", "lists", "tasks", "due", "outbox", "documents"],
    registers: [transferTests],
  },
};

export const allFacets = Object.keys(suites) as readonly Facet[];
