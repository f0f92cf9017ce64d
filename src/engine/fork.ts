/**
 * fork: a new execution that starts before an action of another one. What was decided there, and does not
 * come after that action, is taken over; all else starts anew.
 */
import { defined } from "../base/defined.ts";
import type { PlanAction } from "../language/kinds/table.ts";
import type { Plan } from "../language/plan.ts";
import { isSameValue } from "../model/canonical.ts";
import type { Refusal } from "../model/event.ts";
import type { ActionRecord, Execution, IndexSet } from "../model/execution.ts";
import { fields } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";
import { decideAnew } from "./decision/anew.ts";
import type { Draft } from "./decision/draft.ts";
import { addAll, indexesIn, indexSet } from "./decision/index-set.ts";
import { endedUnhandled, refusalOfAny } from "./operations/new-run.ts";
import { actionsFrom, refusalOfUnreached } from "./operations/rerun.ts";

/** What a fork begins with. */
export interface Fork {
  readonly taken: Taken;
  /** Outputs of actions that are taken over, by their keys. */
  readonly outputs: ReadonlyMap<string, JsonText>;
  /** Details of the entry in its history, as JSON text, and whose it is. */
  readonly details: JsonText;
  readonly who?: string;
}

/** Records by plan indexes of the fork. */
export type Taken = ReadonlyMap<number, ActionRecord>;

/** Of an execution and its plan, for a fork that runs another plan, or the same. */
export function takeOver(
  source: { readonly execution: Pick<Execution, "records">; readonly plan: Plan },
  plan: Plan,
  cut: PlanAction,
): Taken | Refusal {
  const recordOf = ({ index }: PlanAction) => source.execution.records[index] ?? pending;
  const unreached = refusalOfUnreached(cut, recordOf(cut));
  if (unreached !== undefined) return unreached;
  const there = plan.actions[plan.byKey.get(cut.key) ?? -1];
  if (there === undefined) return missing(plan, cut.key);
  const after = actionsFrom(source.plan, cut);
  const afterThere = actionsFrom(plan, there);
  const beside = source.plan.actions.filter(
    ({ index, key }) => !after.has(index) && !afterThere.has(plan.byKey.get(key) ?? -1),
  );
  const refused = refusalOfAny(recordOf, beside);
  if (refused !== undefined) return refused;
  const decided = beside.filter((action) => isDecided(recordOf(action)));
  const taken = new Map<number, ActionRecord>();
  const order = rankOf(source.execution);
  const specs = specsOf(source.plan);
  const newSpecs = specsOf(plan);
  for (const action of decided) {
    const same = plan.actions[plan.byKey.get(action.key) ?? -1];
    if (same === undefined) return missing(plan, action.key);
    if (!isSameValue(specs.get(action.key), newSpecs.get(same.key))) {
      const message = `The action ${action.key} is another one in version ${plan.version}: what is taken over must be equal.`;
      return { type: "invalid-state", message };
    }
    taken.set(same.index, carried(recordOf(action), { from: source.plan, to: plan, order }));
  }
  return taken;
}

const pending: ActionRecord = { status: "PENDING" };

function missing({ version }: Plan, key: string): Refusal {
  return { type: "invalid-state", message: `Version ${version} has no action ${key}.` };
}

function isDecided(record: ActionRecord): boolean {
  return record.endedAt !== undefined && !endedUnhandled(record);
}

/** By the key of the action. */
function specsOf({ definition }: Plan): ReadonlyMap<string, unknown> {
  return new Map(definition.actions.map((spec) => [String(spec.id), spec]));
}

/** The order in which failures were handled: before all that the fork will know. */
function rankOf({ records }: Pick<Execution, "records">): ReadonlyMap<number, number> {
  const sequences = records.flatMap((record) => record?.failureSequence ?? []);
  sequences.sort((one, other) => one - other);
  return new Map(sequences.map((sequence, rank) => [sequence, rank - sequences.length]));
}

/** Without what only its execution has, and with the plan indexes of the fork. */
function carried(
  record: ActionRecord,
  {
    from,
    to,
    order,
  }: { readonly from: Plan; readonly to: Plan; readonly order: ReadonlyMap<number, number> },
): ActionRecord {
  const { items: _items, timers: _timers, handout: _handout, ...rest } = record;
  const { causes, failureSequence, errorOf, ...kept } = rest;
  const indexThere = (index: number) => to.byKey.get(from.actions[index]!.key)!;
  return {
    ...kept,
    ...defined({
      causes: causes && mapSet(causes, indexThere),
      errorOf: errorOf === undefined ? undefined : indexThere(errorOf),
      failureSequence: failureSequence === undefined ? undefined : order.get(failureSequence)!,
    }),
  };
}

function mapSet(set: IndexSet, map: (index: number) => number): IndexSet {
  const mapped: number[] = [];
  for (const index of indexesIn(set)) addAll(mapped, indexSet(map(index)));
  return mapped;
}

/** In the first decision of the fork, in place of its roots. */
export function beginFork(draft: Draft, { taken, outputs, details, who }: Fork): void {
  draft.who = who;
  draft.log("execution.forked", undefined, undefined, details);
  draft.who = undefined;
  for (const [index, record] of taken) draft.setRecord(index, record);
  for (const [key, output] of outputs) draft.write(fields.output(key), output);
  decideAnew(draft);
}
