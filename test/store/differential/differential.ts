/**
 * Runs random operations on a reference and on other stores side by side, compares every answer,
 * and collects which outcomes were reached.
 */
import { expect } from "bun:test";
import type * as contract from "../../../src/store/store.ts";
import { Chance } from "../../support/chance.ts";
import { Knowledge, type Tombstone } from "./knowledge.ts";
import { learn } from "./learning.ts";
import { compareLoosely } from "./loose.ts";
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
  /** The others count and look by hints, which may be too many or too early: see loose.ts. */
  readonly isLoose?: boolean;
}

/** Reached by any fair run of that length; one that is missing means that the fuzz lost its bite. */
export const mustReach = [
  ...["create created", "create exists", "create tombstone"],
  ...["load loaded", "load not_found", "load tombstone"],
  ...["commit committed", "commit already_committed", "commit conflict", "commit not_found"],
  ...["commit stale tasks", "commit stale timers"],
  "commit committed offered",
  ...["claimTasks some", "claimTasks none", "claimTasks more"],
  ...["claimTask claimed", "claimTask leased", "claimTask held", "claimTask unknown"],
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
  const isPurgeable =
    (known.tombstones.get(key?.id ?? "")?.until ?? Number.POSITIVE_INFINITY) <= now;
  switch (operation.name) {
    case "load": {
      const { outcome } = answer as contract.LoadAnswer;
      return isPurgeable && outcome !== "loaded" ? "gone" : answer;
    }
    case "remove":
      return isPurgeable && answer !== "more" && answer !== "conflict" ? "gone" : answer;
    case "claimDue": {
      const { items, ...rest } = answer as contract.ClaimDueAnswer;
      return { ...withoutPast(operation, rest), items: [...items].sort(byText) };
    }
    case "claimOutbox":
      return withoutPast(operation, answer as contract.ClaimDueAnswer);
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

/** A claim of all that there is, by a store that chooses the order. */
function unordered(answer: unknown): unknown {
  const { tasks, more } = answer as contract.ClaimTasksAnswer;
  // Task ids, and so tokens, are those of one execution only.
  const place = ({ key, token }: contract.LeasedTask) => `${token}/${key.id}`;
  return { tasks: tasks.toSorted((a, b) => (place(a) < place(b) ? -1 : 1)), more };
}

/** Of each queue: it holds at least what a store says that counts no further. */
function countedAlike(expected: unknown, actual: unknown): readonly contract.QueueStats[] {
  const counted = new Map((actual as contract.QueueStats[]).map((stats) => [stats.queue, stats]));
  return (expected as contract.QueueStats[]).map((stats) => {
    const said = counted.get(stats.queue);
    const isLess =
      said?.atLeast && said.queued <= stats.queued && (said.leased ?? 0) <= (stats.leased ?? 0);
    return isLess ? said : stats;
  });
}

/** A next moment in the past asks for another call at once, as the present one does. */
function withoutPast<Answer extends { readonly nextDue?: number }>(
  { request }: Operation,
  answer: Answer,
): Answer {
  const { now } = request as contract.ClaimDueRequest;
  const { nextDue } = answer;
  return nextDue === undefined ? answer : { ...answer, nextDue: Math.max(nextDue, now) };
}

/**
 * Whether only one of the stores may need another call at once: one that purges ended tombstones
 * with `claimDue` asks for it where it left some, and one that purges them otherwise does not.
 */
function isPurging(operation: Operation, answers: readonly unknown[], known: Knowledge): boolean {
  if (operation.name !== "claimDue") return false;
  const { partition, now } = operation.request as contract.ClaimDueRequest;
  const isEnded = ({ key, until }: Tombstone) => key.partition === partition && until <= now;
  const asksAtOnce = (answer: unknown) => (answer as contract.ClaimDueAnswer).nextDue === now;
  return answers.some(asksAtOnce) && [...known.tombstones.values()].some(isEnded);
}

function expectAlike(
  operation: Operation,
  { expected, actual }: { readonly expected: unknown; readonly actual: unknown },
  known: Knowledge,
  now: number,
): void {
  const answers = [actual, expected].map((one) => normalised(operation, one, known, now));
  const [received, wanted] = isPurging(operation, answers, known)
    ? answers.map((answer) => ({ ...(answer as contract.ClaimDueAnswer), nextDue: now }))
    : answers;
  expect(received).toEqual(wanted);
}

export async function runDifferential(options: DifferentialOptions): Promise<void> {
  const { reference, others, reached, claimOrder } = options;
  const chance = new Chance(options.seed);
  const known = new Knowledge();
  const operations = new Operations(chance, known, options);
  const trace: Operation[] = [];
  const runTogether = async (group: readonly Operation[]) => {
    const callAll = (store: contract.Store) => Promise.all(group.map((one) => call(store, one)));
    const [expected, ...actual] = await Promise.all([reference, ...others].map(callAll));
    for (const [i, operation] of group.entries()) {
      trace.push(operation);
      for (const [other, answers] of actual.entries()) {
        if (others[other]![operation.name] === undefined) continue;
        if (options.isLoose && compareLoosely(operation, expected?.[i], answers[i])) continue;
        const isRough = operation.name === "claimTasks" && claimOrder === "roughly";
        const counted =
          operation.name === "queueStats" ? countedAlike(expected?.[i], answers[i]) : expected?.[i];
        const [one, two] = [counted, answers[i]].map(isRough ? unordered : (same) => same);
        expectAlike(operation, { expected: one, actual: two }, known, operations.now);
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
  const command = `SEED=${seed} npm test -- differential`;
  return `Stores differ at the last of these operations:\n${last.join("\n")}\n\nRepeat: ${command}`;
}
