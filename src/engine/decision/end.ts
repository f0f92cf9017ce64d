/**
 * How an execution ends: its status, what is still open is cancelled, its result, and what follows
 * (onSuccess, onFailure, retention). What the open actions own is dropped by close.ts.
 */
import { inBytes } from "../../base/amount.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { cutMessage } from "../../language/data/cut.ts";
import { resolveTemplate, type Template } from "../../language/data/template.ts";
import { TooLarge } from "../../language/data/work.ts";
import type { PlanFollowUp } from "../../language/plan.ts";
import type { ExecutionStatus, Failure } from "../../model/execution.ts";
import { isOpen } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { endMessageId, type StartMessage } from "../../model/message.ts";
import { formatTimer } from "../../model/timer.ts";
import { tellParent, withText } from "./children.ts";
import type { Draft } from "./draft.ts";
import { putOut } from "./put-out.ts";
import { hasTemplate, resultNeeds, resultText } from "./result.ts";

/** Names of outputs that a follow-up is not given: each at most 64 characters and punctuation. */
const namesBytesMax = limits.definitionActionsMax * 68;

/** How an execution ends: with a status, and the failure or reason for it. */
interface Ending {
  readonly status: Exclude<ExecutionStatus, "RUNNING" | "PAUSED">;
  readonly failure?: Failure;
  readonly reason?: string;
  /** Its parent has ended it, and waits for it no more. */
  readonly byParent?: true;
}

/** Nothing is open any more: the execution has its result. */
export function completeExecution(draft: Draft): void {
  const failure = writeResult(draft);
  if (failure === undefined) endExecution(draft, { status: "COMPLETED" });
  else endExecution(draft, { status: "FAILED", failure });
}

/** Ends the execution, and all that it still has open. A further call has no effect. */
export function endExecution(draft: Draft, ending: Ending): void {
  const { state } = draft;
  if (!isOpen(state.status)) return;
  // Actions that ended in this decision have no say any more: nothing starts after the end.
  draft.ended.length = 0;
  draft.ready.length = 0;
  cancelOpenActions(draft);
  state.status = ending.status;
  state.endedAt = draft.now;
  state.open = 0;
  state.heldTimers = [];
  if (ending.failure !== undefined) state.failure = ending.failure;
  if (ending.reason !== undefined) state.cancelReason = cutMessage(ending.reason);
  delete state.pausedAt;
  if (state.timeoutTimer !== undefined) {
    draft.dropTimer(state.timeoutTimer);
    delete state.timeoutTimer;
  }
  draft.log(`execution.${ending.status.toLowerCase()}`, undefined, undefined, endDetails(ending));
  if (ending.byParent !== true) tellParent(draft, () => readWholeResult(draft));
  follow(draft);
}

/** For a parent that has missed the end of this child. */
export function repeatEnd(draft: Draft): void {
  if (isOpen(draft.state.status)) return;
  tellParent(draft, () => readWholeResult(draft));
}

function endDetails(ending: Ending): JsonText | undefined {
  if (ending.failure !== undefined) return JSON.stringify(ending.failure);
  if (ending.reason === undefined) return undefined;
  return JSON.stringify({ reason: cutMessage(ending.reason) });
}

function cancelOpenActions(draft: Draft): void {
  for (const [index, record] of draft.records.entries()) {
    switch (record?.status) {
      case "SCHEDULED":
      case "RUNNING":
      case "WAITING":
      case "RETRYING":
        draft.setRecord(index, { ...record, status: "CANCELLED", endedAt: draft.now });
        draft.closing.push(index);
        break;
      default:
    }
  }
}

/** Without an `output` template the result is read off the terminal actions; see result.ts. */
function writeResult(draft: Draft): Failure | undefined {
  const { output } = draft.plan;
  if (output === undefined || !hasTemplate(draft.plan, draft.records)) return undefined;
  const text = resolveAtEnd(draft, output);
  if (text instanceof TooLarge) return { code: "TOO_LARGE", message: text.message };
  if (Buffer.byteLength(text) > limits.payloadBytesMax) {
    return {
      code: "TOO_LARGE",
      message: `The result is larger than ${inBytes(limits.payloadBytesMax)}.`,
    };
  }
  draft.write(fields.result, text);
  return undefined;
}

function resolveAtEnd(draft: Draft, template: Template): JsonText | TooLarge {
  return orTooLarge(draft, () => {
    draft.require(template.needs);
    const resolved = resolveTemplate(template, draft.view(), { work: draft.work });
    return resolved.ok ? resolved.text : "null";
  });
}

function orTooLarge(draft: Draft, read: () => JsonText): JsonText | TooLarge {
  draft.work.beginAction();
  try {
    return read();
  } catch (error) {
    if (error instanceof TooLarge) return error;
    throw error;
  }
}

function follow(draft: Draft): void {
  const { state, plan } = draft;
  const followUp = followUpOf(draft);
  if (typeof followUp === "object") sendFollowUp(draft, followUp);
  const failed = state.status !== "COMPLETED";
  const seconds =
    plan.retentionSeconds ??
    (failed ? limits.retentionFailedSecondsDefault : limits.retentionSecondsDefault);
  const retentionMs = followUp === "DELETE" ? 0 : Math.round(seconds * 1000);
  draft.addTimer(
    formatTimer({ kind: "retention" }),
    draft.now + Math.max(retentionMs, limits.retentionMsMin),
  );
}

function followUpOf(draft: Draft): PlanFollowUp {
  switch (draft.state.status) {
    case "COMPLETED":
      return draft.plan.onSuccess;
    case "FAILED":
    case "TIMED_OUT":
      return draft.plan.onFailure;
    default:
      return "NOOP";
  }
}

function sendFollowUp(draft: Draft, followUp: Extract<PlanFollowUp, object>): void {
  const { state } = draft;
  if (state.depth >= limits.followUpDepthMax) {
    recordFollowUpFailure(
      draft,
      `A chain of follow-ups has at most ${limits.followUpDepthMax} executions.`,
    );
    return;
  }
  const input = followUpInput(draft, followUp);
  if (input instanceof TooLarge) {
    recordFollowUpFailure(draft, input.message);
    return;
  }
  if (input.length > limits.payloadBytesMax) {
    recordFollowUpFailure(
      draft,
      `The follow-up's input is larger than ${inBytes(limits.payloadBytesMax)}.`,
    );
    return;
  }
  const message: Omit<StartMessage, "input"> = {
    type: "start",
    workflow: followUp.workflow,
    depth: state.depth + 1,
    run: state.run,
    ...(draft.format >= 3 && { sourceStartedAt: state.startedAt }),
    ...defined({
      correlationId: state.correlationId,
      traceContext: state.traceContext,
      traceState: state.traceState,
    }),
  };
  draft.addMessage(endMessageId("follow-up", state.run), withText(message, "input", input));
  draft.log("follow-up.sent", undefined, undefined, JSON.stringify({ workflow: message.workflow }));
}

/** Records in state and history that a follow-up could not be started. */
export function recordFollowUpFailure(draft: Draft, reason: string): void {
  const message = cutMessage(reason);
  draft.state.followUpFailure = message;
  draft.log("follow-up.failed", undefined, undefined, JSON.stringify({ message }));
}

function followUpInput(draft: Draft, followUp: Extract<PlanFollowUp, object>): JsonText | TooLarge {
  if (followUp.parameters !== undefined) {
    return resolveAtEnd(draft, followUp.parameters);
  }
  const input = draft.requireField(fields.input);
  const { state } = draft;
  const failure = state.failure === undefined ? undefined : JSON.stringify(state.failure);
  return orTooLarge(draft, () => {
    const outcome = failure !== undefined ? `"error":${failure}` : `"output":${wholeResult(draft)}`;
    const known = `"input":${input},${outcome},"execution":${draft.view().execution}`;
    const left = limits.payloadBytesMax - Buffer.byteLength(known) - namesBytesMax;
    const room = Math.min(left, limits.followUpOutputsBytesMax);
    return `{${known},${putOut(draft, room)}}`;
  });
}

function readWholeResult(draft: Draft): JsonText | TooLarge {
  return orTooLarge(draft, () => wholeResult(draft));
}

function wholeResult(draft: Draft): JsonText {
  const { plan, records } = draft;
  // When it is asked for later, it may not be in memory any more.
  if (hasTemplate(plan, records)) return draft.requireField(fields.result);
  draft.require(resultNeeds(plan, records));
  return resultText(plan, records, (field) => draft.read(field)) ?? "null";
}
