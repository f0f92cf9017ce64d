import type { Problem } from "../../errors.ts";
import type { ActionDefinition, WorkflowDefinition } from "../../model/definition.ts";
export interface CheckedDefinition {
  readonly definition: WorkflowDefinition | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly scripts: readonly { pointer: string; expression: string }[];
}
export function checkDefinition(
  value: unknown,
  _options: { lenient: boolean; knownActions?: ReadonlySet<string> },
): CheckedDefinition {
  return { definition: value as WorkflowDefinition, problems: [], warnings: [], scripts: [] };
}
export function checkActionDefinition(
  value: unknown,
  _options: { lenient: boolean },
): {
  definition: ActionDefinition | undefined;
  problems: readonly Problem[];
  warnings: readonly Problem[];
} {
  return { definition: value as ActionDefinition, problems: [], warnings: [] };
}
