/** The data of an execution as references see it, and which parts of it something reads. */
import type { JsonText } from "../../model/json.ts";

/** Members of an action in `$` beside its output. */
export const factNames: readonly string[] = ["status", "error", "startedAt", "endedAt"];

/** The member of an action in `$` with its output, its facts, or both. */
export function actionText(
  output: JsonText | undefined,
  facts: JsonText | undefined,
): JsonText | undefined {
  if (output === undefined) return facts;
  return facts === undefined ? `{"output":${output}}` : `{"output":${output},${facts.slice(1)}`;
}

/** Where a reference may look: `$`. */
export interface Scope {
  /** `$.input` */
  readonly input: JsonText;
  /** `$.execution` */
  readonly execution: JsonText;
  /** Output of a completed action; undefined when it has none. */
  output(actionKey: string): JsonText | undefined;
  /** What else `$` holds of an action, as an object; undefined when that is nothing. */
  facts(actionKey: string): JsonText | undefined;
  /** What only some kinds see: `item` and `index` of a map. */
  readonly own?: (name: string) => JsonText | undefined;
  /** Keys of all actions that have an output or facts, for paths that range over `$`. */
  actionKeys(): readonly string[];
}

/** Which parts of `$` something reads. */
export interface Needs {
  /** Keys of actions whose outputs are read; `all` for paths that range over `$`. */
  readonly outputs: readonly string[] | "all";
  readonly input: boolean;
  /** `$.execution.error`, which is fixed when the action starts. */
  readonly failure?: boolean;
}

export const noNeeds: Needs = { outputs: [], input: false };

export function mergeNeeds(all: readonly Needs[]): Needs {
  const keys = new Set<string>();
  let everything = false;
  for (const { outputs } of all) {
    if (outputs === "all") everything = true;
    else for (const key of outputs) keys.add(key);
  }
  return {
    outputs: everything ? "all" : [...keys],
    input: all.some((needs) => needs.input),
    ...(all.some((needs) => needs.failure) && { failure: true }),
  };
}
