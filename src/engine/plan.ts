/**
 * A plan is a definition compiled once: edges, joins, parsed templates and paths. Versions are
 * immutable, so a plan never changes, and nothing is parsed on the hot path.
 */
import type { FollowUp, JoinRule, RetrySpec, WorkflowDefinition } from "../model/definition.ts";
import type { Reference, Template } from "./template.ts";

/** Targets of one route, as plan indexes; each target once. */
export type PlanRoutes = ReadonlyMap<string, readonly number[]>;

interface PlanActionBase {
  /** Position in topological order: an action comes after all that lead to it. */
  readonly index: number;
  /** The id as text: names the action in data, tasks and timers. */
  readonly key: string;
  readonly id: number | string;
  /** A number that is stable within the definition, for the original worker wire. */
  readonly number: number;
  readonly parameters: Template | undefined;
  readonly next: PlanRoutes;
  readonly onError: PlanRoutes;
  /** All distinct targets of `next` and `onError`. */
  readonly targets: readonly number[];
  /** Distinct targets of `next`: those that are dead by failure when `onError` is taken. */
  readonly nextTargets: ReadonlySet<number>;
  /** How many distinct actions lead here; 0 for roots. */
  readonly incoming: number;
  readonly join: JoinRule;
  readonly optional: boolean;
  readonly strict: boolean;
}

export interface UserPlanAction extends PlanActionBase {
  readonly kind: "user";
  readonly name: string;
  readonly queue: string;
  /** `queueKey(queue, name)` */
  readonly queueKey: string;
  readonly priority: number;
  /** What the workflow says; the rest comes from the action definition, then from limits.ts. */
  readonly overrides: RetrySpec & {
    readonly timeoutSeconds?: number;
    readonly heartbeatSeconds?: number;
    readonly queueTimeoutSeconds?: number;
    readonly totalTimeoutSeconds?: number;
  };
}

export interface SwitchPlanAction extends PlanActionBase {
  readonly kind: "switch";
  readonly expression: Reference;
}

export interface JavascriptPlanAction extends PlanActionBase {
  readonly kind: "javascript";
  readonly expression: string;
}

export interface DelayPlanAction extends PlanActionBase {
  readonly kind: "delay";
  readonly delaySeconds?: Template;
  readonly until?: Template;
}

export interface WaitPlanAction extends PlanActionBase {
  readonly kind: "wait";
  readonly events: readonly string[];
  readonly timeoutSeconds?: Template;
}

export interface TransformPlanAction extends PlanActionBase {
  readonly kind: "transform";
}

/** Kinds that are part of the language and not built yet: they fail with NOT_IMPLEMENTED. */
export interface LaterPlanAction extends PlanActionBase {
  readonly kind: "workflow" | "map" | "loop" | "terminate" | "signal";
}

export type PlanAction =
  | UserPlanAction
  | SwitchPlanAction
  | JavascriptPlanAction
  | DelayPlanAction
  | WaitPlanAction
  | TransformPlanAction
  | LaterPlanAction;

export interface Plan {
  readonly definition: WorkflowDefinition;
  readonly workflow: string;
  readonly version: number;
  /** In topological order. */
  readonly actions: readonly PlanAction[];
  readonly byKey: ReadonlyMap<string, number>;
  readonly roots: readonly number[];
  readonly output: Template | undefined;
  readonly timeoutMs: number | undefined;
  readonly onSuccess: PlanFollowUp;
  readonly onFailure: PlanFollowUp;
  readonly retentionSeconds: number | undefined;
}

export type PlanFollowUp =
  | Exclude<FollowUp, object>
  | { readonly workflow: string; readonly parameters: Template | undefined };
