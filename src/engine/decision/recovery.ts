/**
 * Which failures lie on the dead edges of an action, and which of them are recovered at it: read off
 * the records, as an ended action's route tells its taken edges, and a SKIPPED one keeps its causes.
 * The actions are followed in the order of the plan, each once, so that all questions of a decision
 * together cost what the edges of the graph are (times the words of a set).
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
  #followed = 0;

  /** The records may change; what is known is then asked of `knows`. */
  constructor(actions: readonly PlanAction[], records: ActionRecords) {
    this.#actions = actions;
    this.#records = records;
  }

  /** Whether the edges of this action have been followed. */
  knows(index: number): boolean {
    return index < this.#followed;
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
    while (this.#followed < index) {
      const record = this.#records[this.#followed];
      if (record?.endedAt !== undefined) this.#follow(this.#actions[this.#followed]!, record);
      this.#followed += 1;
    }
  }

  #follow(action: PlanAction, record: ActionRecord): void {
    const { index } = action;
    const taken = takenTargets(action, record);
    const causes = causesOf(index, record);
    const recovered = [...(this.#recovered[index] ?? noIndexes)];
    if (record.status !== "SKIPPED") addAll(recovered, causes);
    if (action.join === "settled" || isUnmetJoin(record)) {
      addAll(recovered, this.#dead[index] ?? noIndexes);
    }
    if (recovered.length > 0) for (const target of taken) add(this.#recovered, target, recovered);
    if (causes.length === 0) return;
    const alive = new Set(taken);
    for (const target of action.nextTargets) {
      if (!alive.has(target)) add(this.#dead, target, causes);
    }
  }
}

function add(sets: (number[] | undefined)[], index: number, causes: IndexSet): void {
  const set = sets[index];
  if (set === undefined) sets[index] = [...causes];
  else addAll(set, causes);
}
