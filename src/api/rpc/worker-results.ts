/**
 * Results on their way in: each is checked alone and answered in its place, so that a bad one
 * never spoils the others.
 */
import { create } from "@bufbuild/protobuf";
import { limits } from "../../base/limits.ts";
import {
  type Failure as FailureMessage,
  type ResultAnswer,
  ResultAnswerSchema,
  ResultStatus,
  type TaskResult,
} from "../../gen/orchy/v1/worker_pb.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { parseExact } from "../../model/numbers.ts";
import type { ResultAnswerType, ResultSent } from "../../runtime/shared/orchestrator.ts";
import { nextTurn } from "../paced.ts";
import { notedRefusal } from "./json-notes.ts";
import { checkJsonBytes, checkValue } from "./payload.ts";

/** Outputs of one call that are parsed in one turn of the event loop, but one at least. */
export const outputBytesPerTurnMax = 1024 * 1024;

interface CheckedResults {
  readonly sent: readonly ResultSent[];
  readonly anyInvalid: boolean;
  /** Merges the orchestrator's answers to `sent` with those to invalid results. */
  answer(answers: readonly ResultAnswerType[]): ResultAnswer[];
}

type CheckedOutcome = TaskOutcome | { readonly invalid: string };

/** Messages that are only read: one of each serves all answers. */
const plainAnswers: Readonly<Record<ResultAnswerType, ResultAnswer>> = {
  accepted: create(ResultAnswerSchema, { status: ResultStatus.ACCEPTED }),
  duplicate: create(ResultAnswerSchema, { status: ResultStatus.DUPLICATE }),
  stale: create(ResultAnswerSchema, { status: ResultStatus.STALE }),
  retry: create(ResultAnswerSchema, { status: ResultStatus.RETRY }),
};

/**
 * `denied`: why, for the tokens of tasks that the caller may not touch. Outputs are parsed, which
 * takes long for a call that is full of them: others have their turn in between.
 */
export async function checkResults(
  results: readonly TaskResult[],
  denied: ReadonlyMap<string, string>,
): Promise<CheckedResults> {
  const sent: ResultSent[] = [];
  /** By place: why the result is invalid, or undefined when it was sent on. */
  const invalid: (string | undefined)[] = [];
  let bytes = 0;
  for (const result of results) {
    bytes += result.outputJson.length;
    if (bytes > outputBytesPerTurnMax) {
      bytes = result.outputJson.length;
      await nextTurn();
    }
    const reason = denied.get(result.token);
    const outcome = reason === undefined ? checkOutcome(result) : { invalid: reason };
    if ("invalid" in outcome) {
      invalid.push(outcome.invalid);
    } else {
      sent.push({ token: result.token, outcome });
      invalid.push(undefined);
    }
  }
  return {
    sent,
    anyInvalid: sent.length < results.length,
    answer(answers) {
      let next = 0;
      return invalid.map((message) =>
        message === undefined
          ? plainAnswers[answers[next++]!]
          : create(ResultAnswerSchema, { status: ResultStatus.INVALID, message }),
      );
    },
  };
}

function checkOutcome(result: TaskResult): CheckedOutcome {
  if (result.token === "") return { invalid: "token: is missing" };
  const { output, outputJson, failure } = result;
  const given = [output !== undefined, outputJson.length > 0, failure !== undefined];
  if (given.filter(Boolean).length > 1) {
    return { invalid: "exactly one of output, output_json and failure may be set" };
  }
  if (failure !== undefined) return checkFailure(failure);
  if (outputJson.length > 0) {
    const checked = checkJsonBytes(outputJson, limits.payloadBytesMax);
    return checked.ok
      ? { ok: true, output: checked.text }
      : { invalid: `output_json: ${checked.message}` };
  }
  if (output === undefined) return { ok: true, output: "null" };
  const { kind } = output;
  const refusal = kind.case === "stringValue" ? notedRefusal(kind.value) : undefined;
  if (refusal !== undefined) return { invalid: refusal };
  const checked = checkValue(output, limits.payloadBytesMax);
  return checked.ok
    ? { ok: true, output: checked.text }
    : { invalid: `output: ${checked.message}` };
}

function checkFailure(message: FailureMessage): CheckedOutcome {
  const code = message.code === "" ? "WORKER_ERROR" : message.code;
  if (code.length > limits.errorCodeCharsMax) {
    return { invalid: `failure.code: is longer than ${limits.errorCodeCharsMax} characters` };
  }
  const failure = {
    code,
    // Stack traces end up here: a long one is cut rather than refused.
    message: message.message.slice(0, limits.errorMessageCharsMax),
  };
  const retryable = message.retryable ?? true;
  if (message.details === undefined) return { ok: false, failure, retryable };
  const checked = checkValue(message.details, limits.errorDetailsBytesMax);
  if (!checked.ok) return { invalid: `failure.details: ${checked.message}` };
  const details = parseExact(checked.text);
  return { ok: false, failure: { ...failure, details }, retryable };
}
