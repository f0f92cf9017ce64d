/**
 * Which action a task is an attempt at: a lease's token names it by its id in the workflow only.
 */
import type { Clock } from "../../base/clock.ts";
import { taskOf } from "../../language/kinds/task.ts";
import { executionKey, parseTaskId, parseToken } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import { loadExecution } from "../driving/load.ts";
import { inBatches } from "./batches.ts";

/** In the order of the tokens; undefined where the execution or action is gone. */
export async function actionNames(
  { store, plans, clock }: { readonly store: Store; readonly plans: Plans; readonly clock: Clock },
  tokens: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const loading = new Map<string, ReturnType<typeof loadExecution>>();

  function load(id: string): ReturnType<typeof loadExecution> {
    const known = loading.get(id) ?? loadExecution(store, executionKey(id, store.partitions), []);
    loading.set(id, known);
    return known;
  }

  async function nameOf(token: string): Promise<string | undefined> {
    const task = parseTaskId(parseToken(token)?.taskId ?? "");
    if (task === undefined) return undefined;
    const loaded = await load(task.executionId);
    if (typeof loaded === "string") return undefined;
    const plan = await plans.of(loaded.execution.state);
    const action = plan.actions[plan.byKey.get(task.actionKey) ?? -1];
    const offered = action && taskOf(action);
    return offered?.type === "user" ? offered.name : undefined;
  }

  const names = new Array<string | undefined>(tokens.length);
  await inBatches([...tokens.entries()], clock, (batch) =>
    Promise.all(
      batch.map(async ([index, token]) => {
        names[index] = await nameOf(token);
      }),
    ),
  );
  return names;
}
