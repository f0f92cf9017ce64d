/** The data of an execution as references see it, and which parts of it something reads. */
import type { JsonText } from "../../model/json.ts";

/** Where a reference may look: `$`. */
export interface Scope {
  /** `$.input` */
  readonly input: JsonText;
  /** `$.execution` */
  readonly execution: JsonText;
  /** Output of a completed action; undefined when it has none. */
  output(actionKey: string): JsonText | undefined;
  /** Keys of all completed actions, for paths that range over `$`. */
  outputKeys(): readonly string[];
}

/** Which parts of `$` something reads. */
export interface Needs {
  /** Keys of actions whose outputs are read; `all` for paths that range over `$`. */
  readonly outputs: readonly string[] | "all";
  readonly input: boolean;
}

export const noNeeds: Needs = { outputs: [], input: false };

export function mergeNeeds(all: readonly Needs[]): Needs {
  const keys = new Set<string>();
  let everything = false;
  for (const { outputs } of all) {
    if (outputs === "all") everything = true;
    else for (const key of outputs) keys.add(key);
  }
  return { outputs: everything ? "all" : [...keys], input: all.some((needs) => needs.input) };
}
