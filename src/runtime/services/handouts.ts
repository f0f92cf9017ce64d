/**
 * The legacy wire carries no token: its results name the hand-out of their task. Here the lease
 * behind a hand-out is found, and a result that was accepted under it before is recognised.
 */
import { taskOf } from "../../language/kinds/task.ts";
import { type ExecutionKey, executionKey, parseTaskId } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import { loadExecution } from "../driving/load.ts";
import type { HandoutResult } from "../shared/orchestrator.ts";

type FoundHandout = { readonly token: string } | "duplicate" | "stale";

export async function findHandout(
  store: Store,
  plans: Plans,
  result: HandoutResult,
): Promise<FoundHandout> {
  const key = executionKey(result.executionId, store.partitions);
  // The lease first: if it is settled between the two reads, the second one shows the attempt.
  const lease = await findLease(store, key, result.handout);
  const loaded = await loadExecution(store, key, []);
  if (typeof loaded === "string") return "stale";
  const { state, records } = loaded.execution;
  if (state.workflow !== result.workflow) return "stale";
  const plan = await plans.of(state);
  for (const action of plan.actions) {
    const offered = taskOf(action);
    if (offered?.type !== "user") continue;
    const isNamed = result.actionNumber === undefined || result.actionNumber === action.number;
    if (!isNamed) continue;
    const isLeased = lease?.actionKey === action.key;
    const attempts = records[action.index]?.attempts ?? [];
    // The nonce of a lease is kept when a worker's result has ended the attempt, and only then.
    const settled = attempts.find((attempt) => attempt.handout === result.handout);
    if (!isLeased && settled?.nonce === undefined) continue;
    result.admit?.(offered.name);
    return isLeased ? lease : "duplicate";
  }
  return "stale";
}

async function findLease(
  store: Store,
  key: ExecutionKey,
  handout: number,
): Promise<{ readonly token: string; readonly actionKey: string } | undefined> {
  const { tasks } = await store.holdings(key);
  for (const { id, token } of tasks) {
    const task = parseTaskId(id);
    if (task?.handout !== handout || token === undefined) continue;
    return { token, actionKey: task.actionKey };
  }
  return undefined;
}
