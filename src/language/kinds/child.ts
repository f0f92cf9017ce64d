/** What is the same for all kinds that run children. */
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { otherWorkflow, type ReadObject, version } from "../readers/fields.ts";
import { type FieldList, reader } from "../readers/reader.ts";
import { below, type Report } from "../readers/report.ts";
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

const inlineDefinition = reader({ $ref: "InlineDefinition" }, (value, pointer, report) => {
  const what = "An inline definition";
  report.isNew({ pointer, what, format: 4 });
  return report.readInline?.(value, pointer);
});

export const childFields: FieldList = [
  ["workflow", otherWorkflow, "The workflow to run."],
  ["version", version, "Its version; by default the newest when the action starts."],
  ["definition", inlineDefinition, "In place of `workflow`: actions of its own, and their result."],
];

/** For kinds that run either a workflow or an inline definition, and nothing else. */
export const childTargets = ["workflow", "definition"];

export function checkVersion(action: ReadObject, pointer: string, report: Report): void {
  if (action.version === undefined || action.workflow !== undefined) return;
  const message = 'It is the version of a "workflow", which the action does not have.';
  report.problem(below(pointer, "version"), message);
}

/** A child that fails is not repeated, unless the action says so. */
export function childRetry({ retry }: ActionSpec): RetrySpec {
  return (retry as RetrySpec | undefined) ?? { retryCount: 0 };
}

export function compileTarget(spec: ActionSpec, of: PlanContext): ChildTarget {
  const { workflow = of.workflow, version: given } = spec as ChildSpec;
  const inline = spec.definition === undefined ? undefined : String(spec.id);
  return { workflow, version: given, inline };
}
