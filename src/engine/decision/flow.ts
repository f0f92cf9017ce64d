/**
 * How an action ends: it completes and takes a route, or has finally failed. What follows from it,
 * along its edges, is in edges.ts.
 */

import { cutFailure } from "../../language/data/cut.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, Failure } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft, Mutable } from "./draft.ts";
import { endExecution } from "./end.ts";

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
  draft.ended.push(action.index);
}

/** Somebody has skipped it while it was open: it counts as completed. */
export function skipByHand(draft: Draft, action: PlanAction, output: JsonText): void {
  draft.write(fields.output(action.key), output);
  const record = closeRecord(draft, action, undefined);
  // Its route says that it has an output.
  const ended = { status: "SKIPPED", skippedBy: "hand", route: "default" } as const;
  draft.setRecord(action.index, { ...record, ...ended });
  draft.log("action.skipped", action, record.attempt, '{"by":"hand"}');
  draft.ended.push(action.index);
}

/** The action has finally failed: `onError`, else `optional`, else the execution fails. */
export function failAction(
  draft: Draft,
  action: PlanAction,
  end: { failure: Failure; attempts?: ActionRecord["attempts"] | undefined },
): void {
  const failure = cutFailure(end.failure);
  const status = statusOfFailure(failure);
  const record = closeRecord(draft, action, end.attempts);
  const route = errorRoute(action, failure.code);
  draft.log("action.failed", action, record.attempt, JSON.stringify(failure));
  if (route !== undefined) {
    draft.write(fields.output(action.key), JSON.stringify({ error: failure }));
    const failureSequence = draft.state.historySequence;
    const sequence = draft.state.failuresTravel === true ? { failureSequence } : {};
    draft.setRecord(action.index, { ...record, status, failure, route, ...sequence });
    draft.ended.push(action.index);
    return;
  }
  if (action.optional) {
    draft.write(fields.output(action.key), JSON.stringify({ error: failure }));
    draft.setRecord(action.index, { ...record, status: "COMPLETED", failure });
    draft.ended.push(action.index);
    return;
  }
  draft.setRecord(action.index, { ...record, status, failure });
  endExecution(draft, { status: "FAILED", failure: { ...failure, action: action.key } });
}

const timeoutCodes: ReadonlySet<string> = new Set(["TIMEOUT", "QUEUE_TIMEOUT", "TOTAL_TIMEOUT"]);

export function statusOfFailure({ code }: Failure): "TIMED_OUT" | "FAILED" {
  return timeoutCodes.has(code) ? "TIMED_OUT" : "FAILED";
}

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
  if (record.child !== undefined) closed.child = record.child;
  if (record.rounds !== undefined) closed.rounds = record.rounds;
  if (record.items !== undefined) {
    closed.items = record.items;
    if (record.childVersion !== undefined) closed.childVersion = record.childVersion;
    // What is open of it is dropped by close.ts.
    if (record.items.open > 0) draft.closing.push(action.index);
  }
  return closed;
}
