/** The contract of the sandbox: JSON text in, JSON text out, nothing else crosses. */
import { OrchyError } from "../errors.ts";
import type { ScriptOutcome } from "../model/event.ts";
import type { JsonText } from "../model/json.ts";

export interface ScriptInput {
  readonly expression: string;
  /** `$.input` */
  readonly input: JsonText;
  /** `$.execution` */
  readonly execution: JsonText;
  /** Output of each completed action by its key: `$[key] = {output}`. */
  readonly outputs: Readonly<Record<string, JsonText>>;
  /** Further members of `$` as they are (e.g. `last` and `iteration` of a loop); never output. */
  readonly members?: Readonly<Record<string, JsonText>>;
  /** Ids of the workflow's other actions: left on `$` by the script, they are not output. */
  readonly reserved?: readonly string[];
}

/** The sandbox ends, not the script: another one is to be asked. */
export class SandboxStopped extends OrchyError {
  constructor() {
    super("UNAVAILABLE", "The server is shutting down; try again.");
  }
}

export interface Sandbox {
  /**
   * Runs a script in a process of its own. Always answers within the deadline plus the grace: a
   * script that does not end is killed. An abort answers SCRIPT_ERROR at once. Rejects with
   * SandboxStopped.
   */
  evaluate(script: ScriptInput, abort?: AbortSignal): Promise<ScriptOutcome>;
  /**
   * Parses without running; answers what is wrong, with the line, or undefined. Rejects with
   * SandboxStopped.
   */
  check(expression: string): Promise<string | undefined>;
  stop(): Promise<void>;
}
