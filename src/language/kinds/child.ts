/** What is the same for all kinds that run children. */
import type { ActionSpec } from "../../model/definition.ts";
import { otherWorkflow, version } from "../readers/fields.ts";
import type { FieldList } from "../readers/reader.ts";
import type { PlanContext } from "./kind.ts";

/** What the children of an action run. */
export interface ChildTarget {
  readonly workflow: string;
  /** Absent: the newest when the action starts. */
  readonly version: number | undefined;
  /** Of an inline definition, which is a part of `workflow`: key of the action that holds it. */
  readonly inline: string | undefined;
}

interface ChildSpec extends ActionSpec {
  readonly workflow?: string;
  readonly version?: number;
}

export const childFields: FieldList = [
  ["workflow", otherWorkflow, "The workflow to run."],
  ["version", version, "Its version; by default the newest when the action starts."],
];

export function compileTarget(spec: ActionSpec, of: PlanContext): ChildTarget {
  const { workflow = of.workflow, version: given } = spec as ChildSpec;
  return { workflow, version: given, inline: undefined };
}
