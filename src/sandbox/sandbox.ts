/** The contract of the sandbox: JSON text in, JSON text out, nothing else crosses. */
import { OrchyError } from "../base/errors.ts";
import type { ScriptOutcome } from "../model/event.ts";
import type { JsonText } from "../model/json.ts";

export interface ScriptInput {
  /** Scripts that wait take turns by group: the workflow's name. Absent: a group without a name. */
  readonly group?: string;
  readonly expression: string;
  /** A condition: the output is `true` or `false`, by the completion value alone. */
  readonly isCondition?: boolean;
  /** `$.input` */
  readonly input: JsonText;
  /** `$.execution` */
  readonly execution: JsonText;
  /** What `$` holds of each action by its key, such as `{"output":1}`; output once it is assigned. */
  readonly actions: Readonly<Record<string, JsonText>>;
  /** Further members of `$` as they are (e.g. `last` and `iteration` of a loop); never output. */
  readonly members?: Readonly<Record<string, JsonText>>;
}

/**
 * The sandbox cannot run scripts now; it says nothing about the script, which may run elsewhere.
 */
export class SandboxUnavailable extends OrchyError {
  constructor(message: string) {
    super("UNAVAILABLE", message);
  }
}

export interface Sandbox {
  /** How many scripts run at the same time. */
  readonly processes: number;
  /** How many scripts wait for a process. */
  readonly queued: number;
  /** Whether one of the group waits for a process. */
  hasQueued(group: string): boolean;
  /**
   * How many more scripts of the group should be given now; 0: the queue is full, by count or by
   * bytes. What is given beyond that is queued all the same.
   */
  room(group: string): number;
  /** Calls back whenever a script has left the queue. It has one listener. */
  onRoom(listener: () => void): void;
  /**
   * Runs a script in a separate process. The script is killed when it has used its time, which
   * counts the processor time of its process; a script that gets no processor time is run again. An
   * abort returns SCRIPT_ERROR at once. Rejects with SandboxUnavailable.
   */
  evaluate(script: ScriptInput, abort?: AbortSignal): Promise<ScriptOutcome>;
  /**
   * Parses without running; returns what is wrong, with the line, or undefined. Rejects with
   * SandboxUnavailable.
   */
  check(expression: string): Promise<string | undefined>;
  stop(): Promise<void>;
}
