/**
 * How executions flow: an action that ends takes one route; its other edges die; a join decides
 * from its edges whether its action starts, is skipped, or waits on. Dead paths run down the graph
 * by a work list, so that long rows of skipped actions cost no stack.
 */

import { cutFailure } from "../../language/data/cut.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, EdgeCounts, Failure } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft, Mutable } from "./draft.ts";
import { endExecution } from "./end.ts";

type Edge = "taken" | "dead" | "dead-by-failure";

const none: readonly number[] = [];

/** Puts a root, or an action whose join is fulfilled, in the row of those that start. */
export function makeReady(draft: Draft, index: number): void {
  draft.ready.push(index);
  draft.state.open += 1;
}

/** The action ends well and takes `route`. */
export function completeAction(
  draft: Draft,
  action: PlanAction,
  end: { output: JsonText; route: string; attempts?: ActionRecord["attempts"] | undefined },
): void {
  draft.write(fields.output(action.key), end.output);
  const record = closeRecord(draft, action, end.attempts);
  record.status = "COMPLETED";
  if (end.route !== "default") record.route = end.route;
  draft.setRecord(action.index, record);
  draft.log("action.completed", action, record.attempt, routeDetails(end.route));
  draft.ended.push({
    index: action.index,
    taken: action.next.get(end.route) ?? none,
    dead: "not-chosen",
  });
}

/** Somebody has skipped it while it was open: it counts as completed. */
export function skipByHand(draft: Draft, action: PlanAction, output: JsonText): void {
  draft.write(fields.output(action.key), output);
  const record = closeRecord(draft, action, undefined);
  // Its route says that it has an output.
  const ended = { status: "SKIPPED", skippedBy: "hand", route: "default" } as const;
  draft.setRecord(action.index, { ...record, ...ended });
  draft.log("action.skipped", action, record.attempt, '{"by":"hand"}');
  const taken = action.next.get("default") ?? none;
  draft.ended.push({ index: action.index, taken, dead: "not-chosen" });
}

/** The action has finally failed: `onError`, else `optional`, else the execution fails. */
export function failAction(
  draft: Draft,
  action: PlanAction,
  end: { failure: Failure; attempts?: ActionRecord["attempts"] | undefined },
): void {
  const failure = cutFailure(end.failure);
  const status = timeoutCodes.has(failure.code) ? "TIMED_OUT" : "FAILED";
  const record = closeRecord(draft, action, end.attempts);
  const route = errorRoute(action, failure.code);
  draft.log("action.failed", action, record.attempt, JSON.stringify(failure));
  if (route !== undefined) {
    draft.write(fields.output(action.key), JSON.stringify({ error: failure }));
    draft.setRecord(action.index, { ...record, status, failure, route });
    const taken = action.onError.get(route) ?? none;
    draft.ended.push({ index: action.index, taken, dead: "failure-routed" });
    return;
  }
  if (action.optional) {
    draft.write(fields.output(action.key), JSON.stringify({ error: failure }));
    draft.setRecord(action.index, { ...record, status: "COMPLETED", failure });
    const taken = action.next.get("default") ?? none;
    draft.ended.push({ index: action.index, taken, dead: "not-chosen" });
    return;
  }
  draft.setRecord(action.index, { ...record, status, failure });
  endExecution(draft, { status: "FAILED", failure: { ...failure, action: action.key } });
}

const timeoutCodes: ReadonlySet<string> = new Set(["TIMEOUT", "QUEUE_TIMEOUT", "TOTAL_TIMEOUT"]);

function errorRoute(action: PlanAction, code: string): string | undefined {
  if (action.onError.has(code)) return code;
  return action.onError.has("default") ? "default" : undefined;
}

function routeDetails(route: string): JsonText | undefined {
  return route === "default" ? undefined : JSON.stringify({ route });
}

/** What stays of a record when its action ends; its timers go. */
function closeRecord(
  draft: Draft,
  action: PlanAction,
  attempts: ActionRecord["attempts"],
): Mutable<ActionRecord> {
  const record = draft.record(action.index);
  for (const timer of record.timers ?? []) draft.dropTimer(timer);
  draft.state.open -= 1;
  const kept = attempts ?? record.attempts;
  // Field by field: this is every step, and spreading costs several times as much.
  const closed: Mutable<ActionRecord> = { status: record.status };
  if (record.startedAt !== undefined) closed.startedAt = record.startedAt;
  closed.endedAt = draft.now;
  if (record.attempt !== undefined) closed.attempt = record.attempt;
  if (kept !== undefined) closed.attempts = kept;
  if (record.attemptsDropped !== undefined) closed.attemptsDropped = record.attemptsDropped;
  return closed;
}

/** Decides the edges of everything that has ended, until nothing follows from it any more. */
export function propagate(draft: Draft): void {
  for (let next = draft.ended.shift(); next !== undefined; next = draft.ended.shift()) {
    const source = draft.plan.actions[next.index]!;
    const taken = next.taken.length > 8 ? new Set(next.taken) : undefined;
    for (const target of source.targets) {
      const isTaken = taken === undefined ? next.taken.includes(target) : taken.has(target);
      decideEdge(draft, target, isTaken ? "taken" : deadEdge(source, target, next.dead));
    }
  }
}

function deadEdge(source: PlanAction, target: number, cause: string): Edge {
  if (cause === "skipped-by-failure") return "dead-by-failure";
  if (cause === "failure-routed" && source.nextTargets.has(target)) return "dead-by-failure";
  return "dead";
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
  if (edges.decided < action.incoming) draft.setRecord(target, { status: "PENDING", edges });
  // An earlier edge has already put it in the row of those that start.
  if (joinVerdict(action, before) === "start") return;
  const verdict = joinVerdict(action, edges);
  if (verdict === "start") makeReady(draft, target);
  else if (verdict === "skip") skip(draft, action, edges.failed > 0);
}

/** The rules of `join`, for an action that has not started; see "Flow" in the language. */
export function joinVerdict(
  action: Pick<PlanAction, "join" | "incoming">,
  edges: EdgeCounts,
): "start" | "skip" | "wait" {
  const { join, incoming } = action;
  const { decided, taken, failed } = edges;
  const undecided = incoming - decided;
  if (join === "all") {
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
  draft.ended.push({
    index: action.index,
    taken: none,
    dead: byFailure ? "skipped-by-failure" : "skipped",
  });
}
