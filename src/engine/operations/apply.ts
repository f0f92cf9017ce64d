/** Applies an operation by hand, whichever it is: refused with the reason where it does not apply. */
import type { EventAnswer, ExecutionEvent } from "../../model/event.ts";
import { close } from "../close.ts";
import type { Draft } from "../decision/draft.ts";
import type { OperationEvent } from "./rules.ts";
import { operationRules } from "./table.ts";

export function applyOperation(draft: Draft, event: OperationEvent): EventAnswer {
  const { format = 0, refusal, apply } = operationRules(event.operation);
  if (draft.format < format) return { type: "unread" };
  const refused = refusal(draft, event);
  if (refused !== undefined) return refused;
  draft.who = event.who;
  apply(draft, event);
  draft.who = undefined;
  return { type: "accepted" };
}

/** Whether the event can be applied now; otherwise what stands in its way goes first, in portions. */
export function isApplicable(draft: Draft, event: ExecutionEvent): boolean {
  const beginsRun =
    event.type === "operation"
      ? operationRules(event.operation).beginsRun
      : event.type === "child-resumed";
  if (beginsRun !== true) return true;
  close(draft);
  return draft.closing.length === 0 && draft.hasRoom();
}
