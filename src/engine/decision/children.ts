/**
 * What the actions of a parent ask of their children, and what a child tells its parent: messages of
 * the outbox. Kinds of actions with children (workflow, map, loop) are built on this.
 */
import { inBytes } from "../../base/amount.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { TooLarge } from "../../language/data/work.ts";
import type { ChildTarget } from "../../language/kinds/child.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import { type ChildPlan, childIdOf, type ParentLink } from "../../model/child.ts";
import type { Failure } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import {
  type AskChildMessage,
  type CancelChildMessage,
  type ChildEndedMessage,
  type ChildResumedMessage,
  endMessageId,
  type StartChildMessage,
} from "../../model/message.ts";
import { MissingData } from "./data.ts";
import type { Draft } from "./draft.ts";

/** How long a child is not asked for that was just started; and the longest time between two questions. */
const askMsMin = 60_000;
const askMsMax = 3_600_000;

/** One child of an action: a hand-out is for one child. */
interface ChildHandout {
  readonly handout: number;
  /** Of a map: the index of the item. */
  readonly item?: number;
  readonly detached?: true;
}

function linkOf(draft: Draft, action: PlanAction, child: ChildHandout): ParentLink {
  const { id, startedAt } = draft.state;
  return { id, startedAt, action: action.key, ...child };
}

/**
 * The version that a hand-out is to run, or a sentence that says why there is none. Looked up once: the
 * action keeps it in its record (`childVersion`) for all its retries, rounds and items.
 */
export function versionFor(
  draft: Draft,
  target: ChildTarget,
  handout: number,
): number | { readonly fault: string } {
  if (target.inline !== undefined) return draft.plan.version;
  const field = fields.version(handout, target.workflow, target.version);
  const found = draft.read(field);
  if (found === undefined) throw new MissingData([field]);
  const value = JSON.parse(found) as number | string;
  return typeof value === "number" ? value : { fault: value };
}

/** Why no child may be started; undefined: one may. */
export function nestingFault({ state }: Draft): string | undefined {
  if ((state.nesting ?? 0) < limits.nestingMax) return undefined;
  return `Executions are nested at most ${limits.nestingMax} deep, and this one is: does a workflow run itself?`;
}

/** Asks for the start of a child, which is harmless to repeat; returns its id. */
export function startChild(
  draft: Draft,
  action: PlanAction,
  start: ChildHandout & {
    readonly target: ChildTarget;
    readonly version: number;
    readonly input: JsonText;
  },
): string {
  const { target, version, input, ...child } = start;
  const { state } = draft;
  const parent = linkOf(draft, action, child);
  const message: StartChildMessage = {
    type: "start-child",
    parent,
    ...childPlan(draft, target, version),
    nesting: (state.nesting ?? 0) + 1,
    depth: state.depth,
    priority: state.priority,
    ...defined({
      correlationId: state.correlationId,
      traceContext: state.traceContext,
      traceState: state.traceState,
    }),
  };
  draft.addMessage(`start-child:${start.handout}`, withText(message, "input", input));
  return childIdOf(parent);
}

/** Ends a child that the action waits for no more. */
export function cancelChild(
  draft: Draft,
  action: PlanAction,
  cancel: ChildHandout & { readonly target: ChildTarget; readonly version: number },
): void {
  const { target, version, ...child } = cancel;
  const { id, status } = draft.state;
  const message: CancelChildMessage = {
    type: "cancel-child",
    parent: linkOf(draft, action, child),
    ...childPlan(draft, target, version),
    nesting: (draft.state.nesting ?? 0) + 1,
    reason:
      status === "RUNNING"
        ? `Action ${action.key} of its parent ${id} waits for it no more.`
        : `Its parent ${id} is ${status}.`,
  };
  draft.addMessage(`cancel-child:${cancel.handout}`, JSON.stringify(message));
}

/** Asks for a child that has not been heard of for long. */
export function askChild(draft: Draft, action: PlanAction, child: ChildHandout): void {
  const message: AskChildMessage = { type: "ask-child", parent: linkOf(draft, action, child) };
  draft.addMessage(`ask-child:${child.handout}`, JSON.stringify(message));
}

/** When an action that has waited since a moment asks next: the longer it has waited, the later. */
export function askAt({ now }: Draft, since: number): number {
  return now + Math.min(Math.max(now - since, askMsMin), askMsMax);
}

/** A child that has ended tells its parent. */
export function tellParent(draft: Draft, result: () => JsonText | TooLarge): void {
  const { parent, status, run } = draft.state;
  if (parent === undefined || parent.detached === true) return;
  const output = status === "COMPLETED" ? result() : undefined;
  const failure = failureToTell(draft, output);
  const message: ChildEndedMessage = {
    type: "child-ended",
    parent,
    status,
    ...defined({ failure }),
  };
  const isOutput = failure === undefined && typeof output === "string";
  const body = isOutput ? withText(message, "output", output) : JSON.stringify(message);
  draft.addMessage(endMessageId("child-ended", run), body);
}

/** A child that had ended runs again: a parent that has failed because of it waits for it again. */
export function tellRunsAgain(draft: Draft): void {
  const { parent, version, run } = draft.state;
  if (parent === undefined || parent.detached === true) return;
  const message: ChildResumedMessage = { type: "child-resumed", parent, version };
  draft.addMessage(`child-resumed:${run}`, JSON.stringify(message));
}

function failureToTell(
  { state }: Draft,
  output: JsonText | TooLarge | undefined,
): Failure | undefined {
  if (output instanceof TooLarge) return { code: "TOO_LARGE", message: output.message };
  if (output !== undefined) {
    if (Buffer.byteLength(output) <= limits.payloadBytesMax) return undefined;
    return {
      code: "TOO_LARGE",
      message: `Its result is larger than ${inBytes(limits.payloadBytesMax)}.`,
    };
  }
  const { failure, status, cancelReason = "No reason was given." } = state;
  return failure ?? { code: status, message: cancelReason };
}

function childPlan(draft: Draft, target: ChildTarget, version: number): ChildPlan {
  const { workflow, inline } = target;
  if (inline === undefined) return { workflow, version };
  const outer = draft.state.inline ?? [];
  return { workflow: draft.state.workflow, version, inline: [...outer, inline] };
}

/** A message whose last member is text, in which large integers stay exact. */
export function withText(message: object, name: string, text: JsonText): JsonText {
  return `${JSON.stringify(message).slice(0, -1)},"${name}":${text}}`;
}
