/**
 * What the engine has to know of an operation by hand. Each operation has a file here that says it,
 * and a place in table.ts.
 */
import { defined } from "../../base/defined.ts";
import { cutMessage } from "../../language/data/cut.ts";
import type { EventAnswer, ExecutionEvent, Operation } from "../../model/event.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";

export type OperationEvent<Name extends Operation = Operation> = Extract<
  ExecutionEvent,
  { readonly type: "operation"; readonly operation: Name }
>;

export interface OperationRules<Name extends Operation = Operation> {
  /** The oldest format of a store that it may write to; absent: any. */
  readonly format?: number;
  /** What an end before it has left to drop is dropped first. */
  readonly beginsRun?: true;
  /** Why it does not apply; undefined: it does. Changes nothing. */
  readonly refusal: (draft: Draft, event: OperationEvent<Name>) => EventAnswer | undefined;
  readonly apply: (draft: Draft, event: OperationEvent<Name>) => void;
}

/** The details of the entry in the history that an operation leaves. */
export function handDetails(
  { reason }: OperationEvent,
  more: Readonly<Record<string, unknown>> = {},
): JsonText | undefined {
  const why = reason === undefined ? undefined : cutMessage(reason);
  const details = { ...more, ...defined({ reason: why }) };
  return Object.keys(details).length === 0 ? undefined : JSON.stringify(details);
}
