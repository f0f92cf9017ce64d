/** What several kinds of actions do alike: resolving their templates, and saying what was wrong. */
import { inBytes } from "../../base/amount.ts";
import { limits } from "../../base/limits.ts";
import { cut } from "../../language/data/cut.ts";
import type { Scope } from "../../language/data/scope.ts";
import { resolveTemplate, type Template } from "../../language/data/template.ts";
import { TooLarge } from "../../language/data/work.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import { isSeconds } from "../../language/readers/fields.ts";
import type { Failure } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { failAction } from "../decision/flow.ts";

/** Fails the action for a value that it cannot work with. */
export function failValue(draft: Draft, action: PlanAction, message: string): void {
  failAction(draft, action, { failure: { code: "INVALID_VALUE", message } });
}

/** `$.execution.error` is the failure that this action handles. */
export function readAs<Result>(draft: Draft, action: PlanAction, read: () => Result): Result {
  const before = draft.reader;
  draft.reader = action.index;
  try {
    return read();
  } finally {
    draft.reader = before;
  }
}

/** Data is read before anything is changed: an action that reads too much leaves no other trace. */
export function failIfTooLarge(draft: Draft, action: PlanAction, run: () => void): void {
  draft.work.beginAction();
  try {
    readAs(draft, action, run);
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    failAction(draft, action, { failure: { code: "TOO_LARGE", message: error.message } });
  }
}

/** What an action begins with: all that it reads is there. */
export function withNeeds(draft: Draft, action: PlanAction, run: () => void): void {
  failIfTooLarge(draft, action, () => {
    draft.require(action.needs);
    run();
  });
}

/** Fails the strict action for a reference without a value. */
export function failMissing(draft: Draft, action: PlanAction, reference: string): void {
  failAction(draft, action, { failure: missing(reference) });
}

function missing(reference: string): Failure {
  return { code: "REFERENCE_NOT_FOUND", message: `${reference} finds no value.` };
}

/** `$` with names that only the action has: the item of a map, the last round of a loop. */
export function withOwn(view: Scope, own: NonNullable<Scope["own"]>): Scope {
  return {
    input: view.input,
    execution: view.execution,
    output: (key) => view.output(key),
    facts: (key) => view.facts(key),
    actionKeys: () => view.actionKeys(),
    own,
  };
}

/** Those that a rerun has given it, or its own; undefined after the action has been failed. */
export function parametersOrFail(draft: Draft, action: PlanAction): JsonText | undefined {
  const { index, key, parameters } = action;
  if (draft.state.given?.includes(index)) return draft.requireField(fields.parameters(key));
  return parameters === undefined ? "{}" : resolveOrFail(draft, action, parameters);
}

/** Resolved text, or undefined after the action has been failed. */
export function resolveOrFail(
  draft: Draft,
  action: PlanAction,
  template: Template,
): JsonText | undefined {
  const { strict } = action;
  const resolved = resolveValue(draft, template, { strict, view: draft.view() });
  if (typeof resolved === "string") return resolved;
  failAction(draft, action, { failure: resolved });
  return undefined;
}

/** Resolved text, or why there is none. Throws TooLarge. */
export function resolveValue(
  { work }: Draft,
  template: Template,
  { strict, view }: { readonly strict: boolean; readonly view: Scope },
): JsonText | Failure {
  const resolved = resolveTemplate(template, view, { strict, work });
  if (!resolved.ok) {
    return missing(resolved.missing);
  }
  if (!tooLarge(resolved.text)) return resolved.text;
  const message = `The resolved parameters are larger than ${inBytes(limits.payloadBytesMax)}.`;
  return { code: "TOO_LARGE", message };
}

/** Most texts are far below the limit: their bytes need not be counted. */
function tooLarge(text: string): boolean {
  if (text.length * 3 <= limits.payloadBytesMax) return false;
  return Buffer.byteLength(text) > limits.payloadBytesMax;
}

/**
 * The seconds that a field has become, within the bounds of literals; undefined after the action has
 * been failed. `isBounded` is false for a definition before format 4, which takes any number.
 */
export function secondsOrFail(
  draft: Draft,
  action: PlanAction,
  { field, text, isBounded }: { field: string; text: JsonText; isBounded: boolean },
): number | undefined {
  const seconds = numberIn(text);
  if (seconds !== undefined && isSeconds(seconds)) return seconds;
  if (seconds !== undefined && !isBounded) {
    return Math.min(Math.max(seconds, 0), limits.secondsMax);
  }
  const range = `a number of seconds from 0 to ${limits.secondsMax}`;
  failValue(draft, action, `${field} must be ${range}, not ${cut(text)}.`);
  return undefined;
}

/** A number, or text that is one; undefined for anything else. */
function numberIn(text: JsonText): number | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

export function momentAfter(now: number, seconds: number): number {
  return now + Math.round(seconds * 1000);
}
