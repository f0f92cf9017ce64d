/**
 * A plan is a definition compiled once: edges, joins, parsed templates and paths. Versions are
 * immutable, so a plan never changes, and nothing is parsed on the hot path.
 */
import type {
  ActionSpec,
  FollowUp,
  JoinRule,
  Routes,
  WorkflowDefinition,
} from "../model/definition.ts";
import { currentFormat } from "../model/format.ts";
import { noNeeds } from "./data/scope.ts";
import type { Template } from "./data/template.ts";
import { Ancestors, countIncoming, orderOf, type Targets } from "./graph.ts";
import { optionalTemplate, type PlanActionBase, type PlanRoutes } from "./kinds/kind.ts";
import { kindOf, kinds, type PlanAction } from "./kinds/table.ts";
import { taskOf } from "./kinds/task.ts";

/** A compiled definition: immutable, shared by all executions of its version. */
export interface Plan {
  readonly definition: WorkflowDefinition;
  readonly workflow: string;
  readonly version: number;
  /** In topological order. */
  readonly actions: readonly PlanAction[];
  readonly byKey: ReadonlyMap<string, number>;
  readonly roots: readonly number[];
  /** Of inline definitions, by the key of the action that holds each. */
  readonly inline: ReadonlyMap<string, Plan>;
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

/** Compiles a definition that has passed the checks, of servers of this format. */
export function compilePlan(
  definition: WorkflowDefinition,
  version: number,
  format: number = currentFormat,
): Plan {
  const specs = definition.actions;
  const position = new Map(specs.map((spec, index) => [String(spec.id), index]));
  const targets = specs.map((spec) => targetsOf(spec, position));
  const { order, cycles } = orderOf(targets);
  if (cycles.length > 0) throw new Error("a definition with cycles has not passed the checks");
  const context: Context = {
    workflow: definition.name,
    version,
    format,
    specs,
    targets,
    incoming: countIncoming(targets),
    numbers: numbersOf(specs),
    ancestors: new Ancestors(targets, order),
    byKey: new Map(order.map((from, index) => [String(specs[from]!.id), index])),
  };
  const actions = order.map((from, index) => compileAction(context, from, index));
  const userNames = actions.flatMap((action) => {
    const task = taskOf(action);
    return task?.type === "user" ? [task.name] : [];
  });
  const roots = [definition.rootAction].flat().map((id) => context.byKey.get(String(id))!);
  return {
    definition,
    workflow: definition.name,
    version,
    actions,
    byKey: context.byKey,
    inline: compileInline(definition, version, format),
    roots: [...new Set(roots)].sort((one, other) => one - other),
    userActionNames: [...new Set(userNames)],
    output: optionalTemplate(definition.output),
    timeoutMs: toMilliseconds(definition.timeoutSeconds),
    onSuccess: compileFollowUp(definition.onSuccess),
    onFailure: compileFollowUp(definition.onFailure),
    retentionSeconds: definition.retentionSeconds,
  };
}

/** The plan of an inline definition, by the keys of the actions that hold it, outermost first. */
export function planWithin(plan: Plan, inline: readonly string[] = []): Plan {
  let found = plan;
  for (const key of inline) {
    const inner = found.inline.get(key);
    if (inner === undefined) throw new Error(`action ${key} has no inline definition`);
    found = inner;
  }
  return found;
}

/** Names of the events that its waits are for; `any`: one of them is only known in an execution. */
export function waitedEventsOf({ actions }: Plan): ReadonlySet<string> | "any" {
  const known = new Set<string>();
  for (const action of actions) {
    if (action.kind !== "wait") continue;
    for (const { slots, tail } of action.events) {
      if (slots.length > 0) return "any";
      known.add(JSON.parse(tail));
    }
  }
  return known;
}

/** Compiled with what they are part of; their executions have its name and version. */
function compileInline(
  definition: WorkflowDefinition,
  version: number,
  format: number,
): Plan["inline"] {
  const plans = new Map<string, Plan>();
  for (const { id, definition: inner } of definition.actions) {
    if (inner === undefined) continue;
    const body = inner as unknown as Omit<WorkflowDefinition, "name">;
    plans.set(String(id), compilePlan({ ...body, name: definition.name }, version, format));
  }
  return plans;
}

interface Context {
  readonly workflow: string;
  readonly version: number;
  readonly format: number;
  readonly specs: readonly ActionSpec[];
  /** By position in the definition, as are `incoming`, `numbers` and `ancestors`. */
  readonly targets: Targets;
  readonly incoming: readonly number[];
  readonly numbers: readonly number[];
  readonly ancestors: Ancestors;
  readonly byKey: ReadonlyMap<string, number>;
}

function compileAction(context: Context, from: number, index: number): PlanAction {
  const { workflow, version, format } = context;
  const spec = context.specs[from]!;
  const kind = kindOf(spec);
  if (kind === undefined) throw new Error(`action ${spec.name} has not passed the checks`);
  const next = compileRoutes(spec.next, context.byKey);
  const parameters = optionalTemplate(spec.parameters);
  const base: PlanActionBase = {
    index,
    key: String(spec.id),
    id: spec.id,
    number: context.numbers[from]!,
    type: kind === "user" ? "user" : "system",
    name: kind === "user" ? spec.name : kind,
    parameters,
    next,
    onError: compileRoutes(spec.onError, context.byKey),
    targets: context.targets[from]!.map((target) => context.byKey.get(keyAt(context, target))!),
    nextTargets: new Set([...next.values()].flat()),
    incoming: context.incoming[from]!,
    ...compileJoin(spec.join),
    optional: spec.optional ?? false,
    strict: spec.strict ?? false,
    needs: parameters?.needs ?? noNeeds,
  };
  const ancestors = () => context.ancestors.of(from).map((source) => keyAt(context, source));
  return kinds[kind].compile(spec, base, { workflow, version, format, ancestors }) as PlanAction;
}

function compileJoin(join: JoinRule = "all"): Pick<PlanActionBase, "join" | "cancelRest"> {
  if (typeof join === "object") return { join: join.count, cancelRest: true };
  return { join, cancelRest: false };
}

function keyAt(context: Context, position: number): string {
  return String(context.specs[position]!.id);
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
