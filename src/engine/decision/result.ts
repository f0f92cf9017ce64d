/**
 * The result of a completed execution: the output of a terminate action that gave one; else its
 * `output` template, resolved when it ended; else the outputs of its terminal actions (completed, no
 * edge taken), read on request, so that they are not stored twice.
 */

import type { Needs } from "../../language/data/scope.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import { type ActionRecords, isCompleted } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";

/** The action that has ended the execution with a result of its own. */
function terminatedBy(plan: Plan, records: ActionRecords): PlanAction | undefined {
  return plan.actions.find(
    (action) =>
      action.kind === "terminate" &&
      action.output !== undefined &&
      records[action.index]?.status === "COMPLETED",
  );
}

/** Whether the result is what the `output` template of the definition gives. */
export function hasTemplate(plan: Plan, records: ActionRecords): boolean {
  return plan.output !== undefined && terminatedBy(plan, records) === undefined;
}

function terminalKeys(plan: Plan, records: ActionRecords): string[] {
  const terminatedWith = terminatedBy(plan, records);
  if (terminatedWith !== undefined) return [terminatedWith.key];
  const keys: string[] = [];
  for (const action of plan.actions) {
    const record = records[action.index];
    if (!isCompleted(record) || action.kind === "terminate") continue;
    const taken = action.next.get(record?.route ?? "default");
    if (taken === undefined || taken.length === 0) keys.push(action.key);
  }
  return keys;
}

/** The fields of data that the result of a completed execution is made of. */
export function resultNeeds(plan: Plan, records: ActionRecords): Needs {
  if (hasTemplate(plan, records)) return { outputs: [], input: false };
  return { outputs: terminalKeys(plan, records), input: false };
}

/**
 * Whether the result is one of these fields as it is; otherwise it is an object of the outputs of its
 * terminal actions, or null where there are none.
 */
export function isOneField(names: readonly string[]): boolean {
  return names.length === 1;
}

/** Fields of data that `resultText` reads. */
export function resultFields(plan: Plan, records: ActionRecords): readonly string[] {
  if (hasTemplate(plan, records)) return [fields.result];
  return terminalKeys(plan, records).map(fields.output);
}

export function resultText(
  plan: Plan,
  records: ActionRecords,
  read: (field: string) => JsonText | undefined,
): JsonText | undefined {
  if (hasTemplate(plan, records)) return read(fields.result);
  const keys = terminalKeys(plan, records);
  if (keys.length === 0) return "null";
  if (keys.length === 1) return read(fields.output(keys[0]!)) ?? "null";
  const members = keys.map((key) => `"${key}":${read(fields.output(key)) ?? "null"}`);
  return `{${members.join(",")}}`;
}
