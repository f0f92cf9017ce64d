/** What workers make of a task: always the same for the same attempt of the same action. */

import type { TaskOutcome } from "../../src/model/event.ts";
import { partitionOf } from "../../src/model/ids.ts";
import type { TaskHeader } from "../../src/model/task-header.ts";

type Asked = Pick<TaskHeader, "workflow" | "actionKey" | "attempt" | "index">;

const routes = ["a", "b", 200, true, null] as const;

/** `by` says whose result it is; leave it out to compare. */
export function outcomeOf(asked: Asked, by: string): TaskOutcome {
  const { workflow, actionKey, attempt, index } = asked;
  const kind = partitionOf(`${workflow}/${actionKey}${index ?? ""}`, 64);
  if (kind < 6 && attempt === 1) return failed("BROKEN", true);
  if (kind === 6) return failed("CARD_DECLINED", true);
  if (kind === 7) return failed("BROKEN", false);
  const output = { route: routes[kind % routes.length], value: kind, by };
  return { ok: true, output: JSON.stringify(output) };
}

function failed(code: string, retryable: boolean): TaskOutcome {
  return { ok: false, failure: { code, message: `It is ${code}.` }, retryable };
}
