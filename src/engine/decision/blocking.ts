/**
 * The flow rule of executions that began before format 4, which keep it to their end: an edge that is
 * dead by failure blocks an `all` behind it for good, and a number that cannot be reached any more is
 * SKIPPED. Nothing is added here; edges.ts has the rule of today.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, EdgeCounts } from "../../model/execution.ts";
import type { Draft } from "./draft.ts";
import { makeReady } from "./flow.ts";
import { takenTargets } from "./recovery.ts";

type Edge = "taken" | "dead" | "dead-by-failure";

/** Decides the edges of everything that has ended, until nothing follows from it any more. */
export function propagateBlocking(draft: Draft): void {
  for (let next = draft.ended.shift(); next !== undefined; next = draft.ended.shift()) {
    const source = draft.plan.actions[next]!;
    const record = draft.record(next);
    const targets = takenTargets(source, record);
    const taken = targets.length > 8 ? new Set(targets) : undefined;
    for (const target of source.targets) {
      const isTaken = taken === undefined ? targets.includes(target) : taken.has(target);
      decideEdge(draft, target, isTaken ? "taken" : deadEdge(source, target, record));
    }
  }
}

function deadEdge(source: PlanAction, target: number, { status, skippedBy }: ActionRecord): Edge {
  if (skippedBy === "failure") return "dead-by-failure";
  const hasFailed = status === "FAILED" || status === "TIMED_OUT";
  return hasFailed && source.nextTargets.has(target) ? "dead-by-failure" : "dead";
}

const noEdges: EdgeCounts = { decided: 0, taken: 0, failed: 0 };

function decideEdge(draft: Draft, target: number, edge: Edge): void {
  const record = draft.record(target);
  // An action that has started or was skipped is decided once and for all.
  if (record.status !== "PENDING") return;
  const before = record.edges ?? noEdges;
  const edges: EdgeCounts = {
    decided: before.decided + 1,
    taken: before.taken + (edge === "taken" ? 1 : 0),
    failed: before.failed + (edge === "dead-by-failure" ? 1 : 0),
  };
  const action = draft.plan.actions[target]!;
  // With the last edge there is nothing left to count.
  if (edges.decided < action.incoming) draft.setRecord(target, { ...record, edges });
  // An earlier edge has already put it in the row of those that start.
  if (blockingVerdict(action, before) === "start") return;
  const verdict = blockingVerdict(action, edges);
  if (verdict === "start") makeReady(draft, target);
  else if (verdict === "skip") skip(draft, action, edges.failed > 0);
}

/** The rules of `join`, for an action that has not started. */
export function blockingVerdict(
  action: Pick<PlanAction, "join" | "incoming">,
  edges: EdgeCounts,
): "start" | "skip" | "wait" {
  const { join, incoming } = action;
  const { decided, taken, failed } = edges;
  const undecided = incoming - decided;
  if (join === "all" || join === "succeeded") {
    if (failed > 0) return "skip";
    if (undecided > 0) return "wait";
    return taken > 0 ? "start" : "skip";
  }
  if (join === "settled") {
    if (undecided > 0) return "wait";
    return taken > 0 ? "start" : "skip";
  }
  const wanted = join === "any" ? 1 : join;
  if (taken >= wanted) return "start";
  return taken + undecided < wanted ? "skip" : "wait";
}

function skip(draft: Draft, action: PlanAction, byFailure: boolean): void {
  const skippedBy = byFailure ? "failure" : "dead-path";
  draft.setRecord(action.index, { status: "SKIPPED", endedAt: draft.now, skippedBy });
  draft.log("action.skipped", action, undefined, byFailure ? '{"by":"failure"}' : undefined);
  draft.ended.push(action.index);
}
