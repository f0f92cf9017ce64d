/** workflow: runs another workflow as a child, and waits for it. */
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { boolean } from "../readers/fields.ts";
import { retry } from "../readers/user-rules.ts";
import {
  type ChildTarget,
  checkVersion,
  childFields,
  childRetry,
  childTargets,
  compileTarget,
} from "./child.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";

export interface WorkflowPlanAction extends PlanActionBase {
  readonly kind: "workflow";
  readonly target: ChildTarget;
  readonly detach: boolean;
  readonly retry: RetrySpec;
}

interface WorkflowSpec extends ActionSpec {
  readonly detach?: boolean;
}

export const workflow = {
  fields: [
    ...childFields,
    ["detach", boolean, "It starts the child and goes on; the child outlives this execution."],
    ["retry", retry, "How a child that fails is repeated; by default it is not."],
  ],
  either: childTargets,
  check: checkVersion,
  format: 4,
  compile(spec: WorkflowSpec, base: PlanActionBase, of: PlanContext): WorkflowPlanAction {
    const { detach = false } = spec;
    const target = compileTarget(spec, of);
    return { ...base, kind: "workflow", target, detach, retry: childRetry(spec) };
  },
} satisfies KindRules;
