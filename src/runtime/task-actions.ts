/** Which action a task is an attempt at: a lease's token names it by its id in the workflow only. */
import { executionKey, parseTaskId, parseToken } from "../model/ids.ts";
import type { Store } from "../store/store.ts";
import { loadExecution } from "./load.ts";
import type { Plans } from "./plans.ts";

/** In the order of the tokens; undefined where there is no such execution or action any more. */
export function actionNames(
  store: Store,
  plans: Plans,
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
    const { workflow, version } = loaded.execution.state;
    const plan = await plans.get(workflow, version);
    const action = plan.actions[plan.byKey.get(task.actionKey) ?? -1];
    return action?.kind === "user" ? action.name : undefined;
  }

  return Promise.all(tokens.map(nameOf));
}
