/**
 * A plan is a definition compiled once: edges, joins, parsed templates and paths. Versions are
 * immutable, so a plan never changes, and nothing is parsed on the hot path.
 */
import type { TaskHeader } from "../model/decision.ts";
import type {
  ActionSpec,
  FollowUp,
  JoinRule,
  RetrySpec,
  Routes,
  WorkflowDefinition,
} from "../model/definition.ts";
import { queueKey } from "../model/ids.ts";
import type { Json } from "../model/json.ts";
import type { Reference } from "./data/reference.ts";
import type { Needs } from "./data/scope.ts";
import {
  compileTemplate,
  mergeNeeds,
  noNeeds,
  parseWholeReference,
  type Template,
} from "./data/template.ts";
import { Ancestors, countIncoming, orderOf, type Targets } from "./graph.ts";
import { systemKindOf } from "./kinds.ts";

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
  /** What all its templates and references read when it starts; scripts: outputs they may touch. */
  readonly needs: Needs;
}

export interface UserPlanAction extends PlanActionBase {
  readonly kind: "user";
  readonly name: string;
  readonly queue: string;
  /** `queueKey(queue, name)` */
  readonly queueKey: string;
  readonly priority: number;
  /** What is the same in the header of all its tasks: JSON text, not closed. */
  readonly headerStart: string;
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
  /** Distinct names of its user actions, whose registered rules are needed to decide. */
  readonly userActionNames: readonly string[];
  readonly output: Template | undefined;
  readonly timeoutMs: number | undefined;
  readonly onSuccess: PlanFollowUp;
  readonly onFailure: PlanFollowUp;
  readonly retentionSeconds: number | undefined;
}

export type PlanFollowUp =
  | Exclude<FollowUp, object>
  | { readonly workflow: string; readonly parameters: Template | undefined };

/** Compiles a definition that has passed the checks. */
export function compilePlan(definition: WorkflowDefinition, version: number): Plan {
  const specs = definition.actions;
  const position = new Map(specs.map((spec, index) => [String(spec.id), index]));
  const targets = specs.map((spec) => targetsOf(spec, position));
  const { order, cycles } = orderOf(targets);
  if (cycles.length > 0) throw new Error("a definition with cycles has not passed the checks");
  const context: Context = {
    workflow: definition.name,
    version,
    specs,
    targets,
    incoming: countIncoming(targets),
    numbers: numbersOf(specs),
    ancestors: new Ancestors(targets, order),
    byKey: new Map(order.map((from, index) => [String(specs[from]!.id), index])),
  };
  const actions = order.map((from, index) => compileAction(context, from, index));
  const userNames = actions.flatMap((action) => (action.kind === "user" ? [action.name] : []));
  const roots = [definition.rootAction].flat().map((id) => context.byKey.get(String(id))!);
  return {
    definition,
    workflow: definition.name,
    version,
    actions,
    byKey: context.byKey,
    roots: [...new Set(roots)].sort((one, other) => one - other),
    userActionNames: [...new Set(userNames)],
    output: optionalTemplate(definition.output),
    timeoutMs: toMilliseconds(definition.timeoutSeconds),
    onSuccess: compileFollowUp(definition.onSuccess),
    onFailure: compileFollowUp(definition.onFailure),
    retentionSeconds: definition.retentionSeconds,
  };
}

interface Context {
  readonly workflow: string;
  readonly version: number;
  readonly specs: readonly ActionSpec[];
  /** By position in the definition, as are `incoming`, `numbers` and `ancestors`. */
  readonly targets: Targets;
  readonly incoming: readonly number[];
  readonly numbers: readonly number[];
  readonly ancestors: Ancestors;
  readonly byKey: ReadonlyMap<string, number>;
}

function compileAction(context: Context, from: number, index: number): PlanAction {
  const spec = context.specs[from]!;
  const next = compileRoutes(spec.next, context.byKey);
  const parameters = optionalTemplate(spec.parameters);
  const base: PlanActionBase = {
    index,
    key: String(spec.id),
    id: spec.id,
    number: context.numbers[from]!,
    parameters,
    next,
    onError: compileRoutes(spec.onError, context.byKey),
    targets: context.targets[from]!.map((target) => context.byKey.get(keyAt(context, target))!),
    nextTargets: new Set([...next.values()].flat()),
    incoming: context.incoming[from]!,
    join: spec.join ?? "all",
    optional: spec.optional ?? false,
    strict: spec.strict ?? false,
    needs: parameters?.needs ?? noNeeds,
  };
  if (spec.type.toLowerCase() === "user") return compileUser(context, spec, base);
  const ancestors = () => context.ancestors.of(from).map((source) => keyAt(context, source));
  return compileSystem(spec, base, ancestors);
}

function keyAt(context: Context, position: number): string {
  return String(context.specs[position]!.id);
}

function compileUser(
  { workflow, version }: Context,
  spec: ActionSpec,
  base: PlanActionBase,
): UserPlanAction {
  const { name, queue = "default" } = spec;
  const { timeoutSeconds, heartbeatSeconds, queueTimeoutSeconds, totalTimeoutSeconds } = spec;
  const overrides: UserPlanAction["overrides"] = {
    ...spec.retry,
    ...(typeof timeoutSeconds === "number" && { timeoutSeconds }),
    ...(heartbeatSeconds !== undefined && { heartbeatSeconds }),
    ...(queueTimeoutSeconds !== undefined && { queueTimeoutSeconds }),
    ...(totalTimeoutSeconds !== undefined && { totalTimeoutSeconds }),
  };
  return {
    ...base,
    kind: "user",
    name,
    queue,
    queueKey: queueKey(queue, name),
    priority: spec.priority ?? 0,
    headerStart: JSON.stringify({
      workflow,
      version,
      actionKey: base.key,
      actionId: base.id,
      actionNumber: base.number,
      name,
    } satisfies Partial<TaskHeader>).slice(0, -1),
    overrides,
  };
}

function compileSystem(
  spec: ActionSpec,
  base: PlanActionBase,
  ancestors: () => readonly string[],
): PlanAction {
  const kind = systemKindOf(spec.name);
  switch (kind) {
    case undefined:
      throw new Error(`system action ${spec.name} has not passed the checks`);
    case "switch": {
      const expression = parseWholeReference(spec.expression ?? "");
      return { ...base, kind, expression, needs: mergeNeeds([base.needs, expression.needs]) };
    }
    case "javascript": {
      const needs = { outputs: ancestors(), input: true };
      return { ...base, kind, expression: spec.expression ?? "", needs };
    }
    case "delay": {
      const delaySeconds = optionalTemplate(spec.delaySeconds);
      const until = optionalTemplate(spec.until);
      const needs = needsOf([base.parameters, delaySeconds, until]);
      return {
        ...base,
        kind,
        ...(delaySeconds && { delaySeconds }),
        ...(until && { until }),
        needs,
      };
    }
    case "wait": {
      const timeoutSeconds = optionalTemplate(spec.timeoutSeconds);
      const needs = needsOf([base.parameters, timeoutSeconds]);
      const events = [spec.event ?? []].flat();
      return { ...base, kind, events, ...(timeoutSeconds && { timeoutSeconds }), needs };
    }
    default:
      return { ...base, kind };
  }
}

function needsOf(templates: readonly (Template | undefined)[]): Needs {
  return mergeNeeds(templates.map((template) => template?.needs ?? noNeeds));
}

function optionalTemplate(value: Json | undefined): Template | undefined {
  return value === undefined ? undefined : compileTemplate(value);
}

function compileRoutes(routes: Routes | undefined, byKey: Context["byKey"]): PlanRoutes {
  const compiled = new Map<string, readonly number[]>();
  for (const [route, ids] of Object.entries(routes ?? {})) {
    compiled.set(route, [...new Set([ids].flat().map((id) => byKey.get(String(id))!))]);
  }
  return compiled;
}

/** Positions of the distinct targets of an action's routes, in the order they are written. */
function targetsOf(spec: ActionSpec, position: ReadonlyMap<string, number>): readonly number[] {
  const ids = [spec.next, spec.onError].flatMap((routes) => Object.values(routes ?? {}).flat());
  return [...new Set(ids.map((id) => position.get(String(id))!))];
}

/** Integer ids stand for themselves; words get the smallest numbers that are left. */
function numbersOf(specs: readonly ActionSpec[]): readonly number[] {
  const taken = new Set(specs.map((spec) => spec.id));
  let last = 0;
  return specs.map((spec) => {
    if (typeof spec.id === "number") return spec.id;
    do last += 1;
    while (taken.has(last));
    return last;
  });
}

function compileFollowUp(followUp: FollowUp | undefined): PlanFollowUp {
  if (typeof followUp !== "object") return followUp ?? "NOOP";
  return { workflow: followUp.workflow, parameters: optionalTemplate(followUp.parameters) };
}

function toMilliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.max(1, Math.round(seconds * 1000));
}
