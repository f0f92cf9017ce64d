/**
 * What the language has to know of a kind of action. Each kind has a file here that says it, and a
 * place in table.ts; what happens when such an action runs is in engine/actions.
 */
import type { ActionId, ActionSpec, JoinRace, JoinRule } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { mergeNeeds, type Needs, noNeeds } from "../data/scope.ts";
import { compileTemplate, type Template } from "../data/template.ts";
import type { ReadObject } from "../readers/fields.ts";
import type { FieldList } from "../readers/reader.ts";
import type { Report } from "../readers/report.ts";

/** Targets of one route, as plan indexes; each target once. */
export type PlanRoutes = ReadonlyMap<string, readonly number[]>;

/** What the plan holds of every action, whatever its kind. */
export interface PlanActionBase {
  /** Position in topological order: an action comes after all that lead to it. */
  readonly index: number;
  /** The id as text: names the action in data, tasks and timers. */
  readonly key: string;
  readonly id: ActionId;
  /** A number that is stable within the definition, for the legacy worker wire. */
  readonly number: number;
  readonly type: ActionSpec["type"];
  /** A user action's own name, and the kind of any other. */
  readonly name: string;
  readonly parameters: Template | undefined;
  readonly next: PlanRoutes;
  readonly onError: PlanRoutes;
  /** All distinct targets of `next` and `onError`. */
  readonly targets: readonly number[];
  /** Distinct targets of `next`: those that are dead by failure when `onError` is taken. */
  readonly nextTargets: ReadonlySet<number>;
  /** How many distinct actions lead here; 0 for roots. */
  readonly incoming: number;
  readonly join: Exclude<JoinRule, JoinRace>;
  /** Once the join is decided, what is still on its way to it ends. */
  readonly cancelRest: boolean;
  readonly optional: boolean;
  readonly strict: boolean;
  /** What all its templates and references read when it starts; scripts: outputs they may touch. */
  readonly needs: Needs;
}

export interface KindRules {
  /** Other names that definitions may call it by, in lower case. */
  readonly aliases?: readonly string[];
  /** Its fields besides those of every action. */
  readonly fields: FieldList;
  readonly required?: readonly string[];
  /** Exactly one of these fields must be given. */
  readonly either?: readonly string[];
  /** Checks what spans its fields. */
  readonly check?: (action: ReadObject, pointer: string, report: Report) => void;
  /** Which routes `next` may have. Absent: only `default`, as it takes no other. */
  readonly routes?: "any" | RouteCheck;
  /** Codes of its failures, besides those of every kind; absent: any. */
  readonly failures?: readonly string[];
  /** Names that its templates may use beside `$.input`. */
  readonly ownNames?: readonly string[];
  /** What its parameters are resolved for, each time: they may refer only to what comes before. */
  readonly repeats?: "items" | "rounds";
  /** The field of a script that may set properties of `$`. */
  readonly script?: string;
  /** Servers that read no newer format than before this one do not know the kind: see model/format.ts. */
  readonly format?: number;
  /** The action in the plan. Its spec has passed the checks; it may narrow the type of its fields. */
  compile(spec: ActionSpec, base: PlanActionBase, of: PlanContext): PlanActionBase;
}

/** Reports the routes in `next` that are wrong, or would never be taken. */
type RouteCheck = (
  action: ReadObject,
  next: readonly string[],
  pointer: string,
  report: Report,
) => void;

/** What an action is compiled within. */
export interface PlanContext {
  readonly workflow: string;
  readonly version: number;
  /** The format in which the definition was saved: see model/format.ts. */
  readonly format: number;
  /** Keys of all actions that come before it. */
  readonly ancestors: () => readonly string[];
}

export function optionalTemplate(value: Json | undefined): Template | undefined {
  return value === undefined ? undefined : compileTemplate(value);
}

/** What some templates read together. */
export function needsOf(templates: readonly (Template | undefined)[]): Needs {
  return mergeNeeds(templates.map((template) => template?.needs ?? noNeeds));
}
