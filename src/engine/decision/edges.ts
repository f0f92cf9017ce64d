/**
 * How executions flow: an action that ends takes one route, its other edges are dead; a join decides
 * from its edges whether its action starts, is skipped, fails or waits on. All edges of what has ended
 * are decided before any target; targets follow in the order of the plan, so each is decided after
 * all that comes before it, and long rows of skipped actions cost no stack.
 */
import { limits } from "../../base/limits.ts";
import { PlaceQueue } from "../../language/graph.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionId } from "../../model/definition.ts";
import {
  type ActionRecord,
  type EdgeCounts,
  type IndexSet,
  isOpen,
} from "../../model/execution.ts";
import { blockingVerdict, propagateBlocking } from "./blocking.ts";
import type { Draft } from "./draft.ts";
import { failAction, makeReady } from "./flow.ts";
import { addAll, indexesIn, noIndexes, without } from "./index-set.ts";
import { endLosers } from "./race.ts";
import { causesOf, takenTargets } from "./recovery.ts";

/** `recover`: it starts if every cause on its dead edges is recovered at it. */
type Verdict = "start" | "skip" | "fail" | "wait" | "recover";

const noEdges: EdgeCounts = { decided: 0, taken: 0, failed: 0 };

/** Decides the edges of everything that has ended, until nothing follows from it any more. */
export function propagate(draft: Draft): void {
  if (draft.ended.length === 0) return;
  if (draft.state.failuresTravel === true) new Sweep(draft).run();
  else propagateBlocking(draft);
}

/** What an action that has not started does, by the flow rule of its execution. */
export function joinVerdict(
  { failuresTravel }: { readonly failuresTravel?: true },
  action: Pick<PlanAction, "join" | "incoming">,
  edges: EdgeCounts,
): Verdict {
  return failuresTravel === true ? verdictOn(action, edges) : blockingVerdict(action, edges);
}

function verdictOn({ join, incoming }: Pick<PlanAction, "join" | "incoming">, edges: EdgeCounts) {
  const { decided, taken, failed } = edges;
  const undecided = incoming - decided;
  switch (join) {
    case "all":
    case "succeeded":
      if (undecided > 0) return "wait";
      if (taken === 0 || (failed > 0 && join === "succeeded")) return "skip";
      return failed > 0 ? "recover" : "start";
    case "settled":
      if (undecided > 0) return "wait";
      return taken > 0 || failed > 0 ? "start" : "skip";
    default: {
      const wanted = join === "any" ? 1 : join;
      if (taken >= wanted) return "start";
      if (taken + undecided >= wanted) return "wait";
      if (taken > 0) return "fail";
      return undecided > 0 ? "wait" : "skip";
    }
  }
}

/** What an edge of an ended action adds to the counts of its target. */
function edgeTo(action: PlanAction, record: ActionRecord): (target: number) => EdgeCounts {
  const targets = takenTargets(action, record);
  const taken = targets.length > 8 ? new Set(targets) : undefined;
  const hasCauses = causesOf(action.index, record).length > 0;
  return (target) => {
    const isTaken = taken === undefined ? targets.includes(target) : taken.has(target);
    const isFailed = !isTaken && hasCauses && action.nextTargets.has(target);
    return { decided: 1, taken: isTaken ? 1 : 0, failed: isFailed ? 1 : 0 };
  };
}

class Sweep {
  readonly #draft: Draft;
  readonly #touched = new PlaceQueue();
  /** Counts of touched actions that are not in their records so far. */
  readonly #counts = new Map<number, EdgeCounts>();

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  run(): void {
    const { ended, plan } = this.#draft;
    for (;;) {
      for (const index of ended.splice(0)) this.#decideEdges(plan.actions[index]!);
      if (this.#touched.size === 0 || !isOpen(this.#draft.state.status)) return;
      this.#decide(plan.actions[this.#touched.take()]!);
    }
  }

  #decideEdges(source: PlanAction): void {
    const edge = edgeTo(source, this.#draft.record(source.index));
    for (const target of source.targets) {
      const { status, edges = noEdges } = this.#draft.record(target);
      // An action that has started or was skipped is decided once and for all.
      if (status !== "PENDING") continue;
      const before = this.#counts.get(target) ?? edges;
      const one = edge(target);
      this.#counts.set(target, {
        decided: before.decided + one.decided,
        taken: before.taken + one.taken,
        failed: before.failed + one.failed,
      });
      this.#touched.add(target);
    }
  }

  #decide(action: PlanAction): void {
    const draft = this.#draft;
    const { index } = action;
    const { status, edges: before } = draft.record(index);
    const edges = this.#counts.get(index)!;
    this.#counts.delete(index);
    if (status !== "PENDING") return;
    // With the last edge there is nothing left to count.
    if (edges.decided < action.incoming) draft.setRecord(index, { ...draft.record(index), edges });
    // An earlier edge has already put it in the row of those that start.
    if (before !== undefined && verdictOn(action, before) === "start") return;
    switch (verdictOn(action, edges)) {
      case "start":
        makeReady(draft, index);
        if (action.cancelRest) endLosers(draft, action);
        break;
      case "fail":
        this.#failJoin(action, edges);
        break;
      case "skip":
        this.#skip(action, edges.failed > 0 ? draft.recovery().causesAt(index) : noIndexes);
        break;
      case "recover": {
        const causes = draft.recovery().causesAt(index);
        const left = without(causes, draft.recovery().recoveredAt(index));
        if (left.length === 0) makeReady(draft, index);
        else this.#skip(action, left);
        break;
      }
      case "wait":
        break;
    }
  }

  /** So many edges cannot be taken any more, and one was. */
  #failJoin(action: PlanAction, { taken }: EdgeCounts): void {
    const draft = this.#draft;
    // It opens and ends at once.
    draft.state.open += 1;
    const wanted = action.join === "any" ? 1 : action.join;
    const message = `It waits for ${wanted} edges, and only ${taken} can be taken.`;
    failAction(draft, action, { failure: { code: "JOIN_NOT_MET", message } });
    if (action.cancelRest && isOpen(draft.state.status)) endLosers(draft, action);
  }

  #skip(action: PlanAction, causes: IndexSet): void {
    const draft = this.#draft;
    const { index } = action;
    if (causes.length === 0) {
      draft.setRecord(index, { status: "SKIPPED", endedAt: draft.now, skippedBy: "dead-path" });
      draft.log("action.skipped", action);
    } else {
      const record = { status: "SKIPPED", endedAt: draft.now, skippedBy: "failure" } as const;
      draft.setRecord(index, { ...record, causes });
      const details = { by: "failure", ...nameCauses(draft.plan.actions, causes) };
      draft.log("action.skipped", action, undefined, JSON.stringify(details));
    }
    draft.ended.push(index);
  }
}

/** Of the failures that are recovered at an action, the one that came last in history. */
export function lastRecovered(draft: Draft, { index, join }: PlanAction): number | undefined {
  // Nearly always there is none.
  if (!draft.records.some((record) => record?.failureSequence !== undefined)) return undefined;
  const recovery = draft.recovery();
  const recovered = [...recovery.recoveredAt(index)];
  if (join === "settled") addAll(recovered, recovery.causesAt(index));
  let last: number | undefined;
  for (const cause of indexesIn(recovered)) {
    const { failureSequence = 0 } = draft.record(cause);
    if (last === undefined || failureSequence > draft.record(last).failureSequence!) last = cause;
  }
  return last;
}

/** The first failed actions because of which one is SKIPPED, and how many more there are. */
interface NamedCauses {
  readonly causes: readonly ActionId[];
  readonly more?: number;
}

export function nameCauses(actions: readonly PlanAction[], set: IndexSet): NamedCauses {
  const all = [...indexesIn(set)];
  const causes = all.slice(0, limits.skipCausesNamedMax).map((index) => actions[index]!.id);
  return all.length > causes.length ? { causes, more: all.length - causes.length } : { causes };
}
