/** Refuses what is only possible while an execution is open. */
import type { EventAnswer } from "../../model/event.ts";
import { isOpen } from "../../model/execution.ts";
import type { Draft } from "./draft.ts";

export function refusalIfEnded({ state: { status } }: Draft): EventAnswer | undefined {
  if (isOpen(status)) return undefined;
  return { type: "invalid-state", message: `The execution has ended: it is ${status}.` };
}
