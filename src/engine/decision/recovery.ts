/**
 * Which failures lie on the dead edges of an action, and which of them are recovered at it: read off
 * the records, as an ended action's route tells its taken edges, and a SKIPPED one keeps its causes.
 * The actions are followed in the order of the plan, and again only where something was added, so
 * that all questions of a decision together cost what the edges of the graph are (times the words of
 * a set).
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, ActionRecords, IndexSet } from "../../model/execution.ts";
import { addAll, indexSet, noIndexes } from "./index-set.ts";

const none: readonly number[] = [];

/** Targets of the edges that an action has taken; none while it has not ended. */
export function takenTargets(action: PlanAction, record: ActionRecord): readonly number[] {
  switch (record.status) {
    case "COMPLETED":
      return action.next.get(record.route ?? "default") ?? none;
    case "FAILED":
    case "TIMED_OUT":
      return (record.route !== undefined && action.onError.get(record.route)) || none;
    case "SKIPPED":
      return (record.skippedBy === "hand" && action.next.get(record.route ?? "default")) || none;
    default:
      return none;
  }
}

/** The failures because of which the edges to `next` are dead, where they are not taken. */
export function causesOf(index: number, { status, route, causes }: ActionRecord): IndexSet {
  if (status === "SKIPPED") return causes ?? noIndexes;
  const isRouted = (status === "FAILED" || status === "TIMED_OUT") && route !== undefined;
  return isRouted ? indexSet(index) : noIndexes;
}

/** A join that failed never started; workers and scripts may use its code as well. */
export function isUnmetJoin({ failure, startedAt }: ActionRecord): boolean {
  return failure?.code === "JOIN_NOT_MET" && startedAt === undefined;
}

export class Recovery {
  readonly #actions: readonly PlanAction[];
  readonly #records: ActionRecords;
  readonly #dead: (number[] | undefined)[] = [];
  readonly #recovered: (number[] | undefined)[] = [];
  /** Actions whose edges are to be followed, all of them from this index on. */
  readonly #due: Uint8Array;
  #next = 0;

  /** The records may change: actions may end, which `ends` is told. */
  constructor(actions: readonly PlanAction[], records: ActionRecords) {
    this.#actions = actions;
    this.#records = records;
    this.#due = new Uint8Array(actions.length).fill(1);
  }

  /** Sets only grow: what is known of all others stays true. */
  ends(index: number): void {
    this.#due[index] = 1;
    this.#next = Math.min(this.#next, index);
  }

  /** Causes on the dead edges of an action. */
  causesAt(index: number): IndexSet {
    this.#followTo(index);
    return this.#dead[index] ?? noIndexes;
  }

  /** Causes that a way of taken edges recovers at an action. */
  recoveredAt(index: number): IndexSet {
    this.#followTo(index);
    return this.#recovered[index] ?? noIndexes;
  }

  #followTo(index: number): void {
    for (; this.#next < index; this.#next++) {
      if (this.#due[this.#next] === 0) continue;
      this.#due[this.#next] = 0;
      const record = this.#records[this.#next];
      if (record?.endedAt !== undefined) this.#follow(this.#actions[this.#next]!, record);
    }
  }

  #follow(action: PlanAction, record: ActionRecord): void {
    const { index } = action;
    const taken = takenTargets(action, record);
    const causes = causesOf(index, record);
    if (taken.length > 0) {
      const recovered = [...(this.#recovered[index] ?? noIndexes)];
      if (record.status !== "SKIPPED") addAll(recovered, causes);
      if (action.join === "settled" || isUnmetJoin(record)) {
        addAll(recovered, this.#dead[index] ?? noIndexes);
      }
      for (const target of taken) this.#add(this.#recovered, target, recovered);
    }
    if (causes.length === 0) return;
    const alive = new Set(taken);
    for (const target of action.nextTargets) {
      if (!alive.has(target)) this.#add(this.#dead, target, causes);
    }
  }

  /** What has been followed with less is followed again; it comes later in the plan. */
  #add(sets: (number[] | undefined)[], index: number, causes: IndexSet): void {
    if (causes.length === 0) return;
    const set = sets[index] ?? [];
    sets[index] = set;
    if (addAll(set, causes)) this.#due[index] = 1;
  }
}
