/**
 * Runs random operations on a reference and on other stores side by side, compares every answer,
 * and collects which outcomes were reached.
 */
import { expect } from "bun:test";
import type * as contract from "../../../src/store/store.ts";
import { Chance } from "../../support/chance.ts";
import { Knowledge } from "./knowledge.ts";
import { learn } from "./learning.ts";
import { type Operation, Operations, type Space } from "./operations.ts";

export interface DifferentialOptions extends Space {
  readonly seed: number;
  readonly operations: number;
  /** Most operations that are under way at once; more than one needs a store that keeps order. */
  readonly together: number;
  readonly reference: contract.Store;
  readonly others: readonly contract.Store[];
  /** Collects `<operation> <outcome>`. */
  readonly reached: Set<string>;
}

/** Reached by any fair run of that length; one that is missing means that the fuzz lost its bite. */
export const mustReach = [
  ...["create created", "create exists", "create tombstone"],
  ...["load loaded", "load not_found", "load tombstone"],
  ...["commit committed", "commit already_committed", "commit conflict", "commit not_found"],
  ...["commit stale tasks", "commit stale timers"],
  ...["claimTasks some", "claimTasks none", "claimTasks more", "claimTask one", "claimTask none"],
  ...["extendLeases extended", "extendLeases cancelled", "extendLeases stale"],
  ...["releaseTasks released", "releaseTasks stale"],
  ...["claimDue timer", "claimDue lease", "claimDue queue"],
  ...["listTimers some", "listTimers none"],
  ...["claimOutbox first", "claimOutbox again"],
  ...["remove removed", "remove more", "remove conflict", "remove not_found"],
  ...["putDocument saved", "putDocument conflict"],
];

function call(store: contract.Store, operation: Operation): Promise<unknown> {
  const method = store[operation.name] as ((request: unknown) => Promise<unknown>) | undefined;
  return method?.call(store, operation.request) ?? Promise.resolve();
}

/** Answers that differ only in what a store may choose become equal. */
function normalised(operation: Operation, answer: unknown, known: Knowledge, now: number): unknown {
  const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const { key } = operation.request as { key?: contract.LeasedTask["key"] };
  const isPurgeable = (known.tombstones.get(key?.id ?? "") ?? Number.POSITIVE_INFINITY) <= now;
  switch (operation.name) {
    case "load": {
      const { outcome } = answer as contract.LoadAnswer;
      return isPurgeable && outcome !== "loaded" ? "gone" : answer;
    }
    case "remove":
      return isPurgeable && answer !== "more" && answer !== "conflict" ? "gone" : answer;
    case "claimDue": {
      const { items, ...rest } = answer as contract.ClaimDueAnswer;
      return { ...rest, items: [...items].sort(byText) };
    }
    case "list":
      return (answer as contract.ListAnswer).items;
    // How much is left to do is a store's own affair; some have nothing to do.
    case "indexExecutions":
      return undefined;
    case "holdings": {
      const { tasks, timers, messages } = answer as contract.Holdings;
      return { messages, tasks: [...tasks].sort(byText), timers: [...timers].sort(byText) };
    }
    default:
      return answer;
  }
}

export async function runDifferential(options: DifferentialOptions): Promise<void> {
  const { reference, others, reached } = options;
  const chance = new Chance(options.seed);
  const known = new Knowledge();
  const operations = new Operations(chance, known, options);
  const trace: Operation[] = [];
  const runTogether = async (group: readonly Operation[]) => {
    const callAll = (store: contract.Store) => Promise.all(group.map((one) => call(store, one)));
    const [expected, ...actual] = await Promise.all([reference, ...others].map(callAll));
    for (const [i, operation] of group.entries()) {
      trace.push(operation);
      for (const answers of actual) {
        expect(normalised(operation, answers[i], known, operations.now)).toEqual(
          normalised(operation, expected?.[i], known, operations.now),
        );
      }
      learn({ ...operation, answer: expected?.[i] as never }, known, reached);
    }
  };
  try {
    for (let done = 0; done < options.operations; ) {
      const count = 1 + chance.below(options.together);
      await runTogether(Array.from({ length: count }, () => operations.next()));
      done += count;
    }
    await runTogether(operations.all());
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${explain(options.seed, trace)}`);
  }
}

function explain(seed: number, trace: readonly Operation[]): string {
  const show = (_: string, value: unknown) => (value instanceof Map ? [...value] : value);
  const last = trace
    .slice(-12)
    .map(({ name, request }) => `${name} ${JSON.stringify(request, show).slice(0, 1_500)}`);
  const command = `SEED=${seed} node_modules/.bin/bun test test/store/differential.test.ts`;
  return `Stores differ at the last of these operations:\n${last.join("\n")}\n\nRepeat: ${command}`;
}
