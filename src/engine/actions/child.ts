/** What kinds with children do alike: whether one may be started, and what its failure means. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { ChildTarget } from "../../language/kinds/child.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import { childIdOf, type ParentLink } from "../../model/child.ts";
import type { Failure } from "../../model/execution.ts";
import type { ChildEnd } from "../../model/message.ts";
import { nestingFault, versionFor } from "../decision/children.ts";
import type { Draft } from "../decision/draft.ts";
import { failAction } from "../decision/flow.ts";
import { failsAsOlder } from "./not-built.ts";

type Failed = Exclude<ChildEnd, { output: unknown }>;

/** The version that its children run, or undefined after the action has been failed. */
export function runsOrFail(
  draft: Draft,
  action: PlanAction & { readonly target: ChildTarget },
  handout: number,
): number | undefined {
  if (failsAsOlder(draft, action)) return undefined;
  const fault = nestingFault(draft);
  if (fault !== undefined) return refuse(draft, action, fault);
  const { childVersion } = draft.record(action.index);
  const version = childVersion ?? versionFor(draft, action.target, handout);
  return typeof version === "number" ? version : refuse(draft, action, version.fault);
}

function refuse(draft: Draft, action: PlanAction, why: string): undefined {
  const message = `No child can be started. ${why}`;
  failAction(draft, action, { failure: { code: "CHILD_FAILED", message } });
  return undefined;
}

/** How an action fails whose child did not complete. */
export function childFailure(parent: ParentLink, end: Failed): Failure {
  const { status, failure } = end;
  const executionId = childIdOf(parent);
  if (status === "COMPLETED") {
    const message = `The child ${executionId} completed. ${failure.message}`;
    return { code: failure.code, message, details: { executionId, status } };
  }
  const error = withinBounds(failure);
  const details = { executionId, ...defined({ status }), error };
  return { code: "CHILD_FAILED", message: messageOf(executionId, end), details };
}

/** That of the innermost child: each level adds details, not words. */
function messageOf(id: string, { status, failure }: Failed): string {
  if (failure.code === "CHILD_FAILED") return failure.message;
  if (status === undefined) return `The child ${id} could not be started: ${failure.message}`;
  return `The child ${id} is ${status}: ${failure.message}`;
}

function withinBounds(failure: Failure): Failure {
  if (failure.details === undefined) return failure;
  if (JSON.stringify(failure.details).length <= limits.errorDetailsBytesMax / 2) return failure;
  const { details: _details, ...rest } = failure;
  return rest;
}

/** A child that somebody has cancelled is not to be repeated, nor one whose result is too large. */
export function mayRetryChild({ status }: Failed): boolean {
  return status === "FAILED" || status === "TIMED_OUT";
}
