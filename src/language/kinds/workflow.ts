/** workflow: runs another workflow as a child, and waits for it. */
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { boolean } from "../readers/fields.ts";
import { retry } from "../readers/user-rules.ts";
import {
  type ChildTarget,
  checkVersion,
  childFields,
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

const noRetries: RetrySpec = { retryCount: 0 };

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
    const rules = (spec.retry as RetrySpec | undefined) ?? noRetries;
    return { ...base, kind: "workflow", target: compileTarget(spec, of), detach, retry: rules };
  },
} satisfies KindRules;
