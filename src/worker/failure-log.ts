/**
 * The lines that failed tasks leave: which action failed, in which execution and attempt, with the
 * stack of what its handler threw. Payloads are logged only on request.
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { Ration } from "../base/ration.ts";
import { messageOf, read, textOfJson } from "./errors.ts";
import type { Logger } from "./link.ts";

interface FailedTask {
  readonly executionId: string;
  readonly workflow: string;
  readonly actionId: string;
  readonly action: string;
  readonly attempt: number;
  readonly parametersText: string;
}

const causesMax = 3;
const textCharsMax = 4_000;

/**
 * A count of lines that waits to be logged does not keep a process alive that has ended its work.
 */
const backgroundClock: Clock = {
  ...systemClock,
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export class FailureLog {
  readonly #logger: Logger;
  readonly #payloads: boolean;
  readonly #ration: Ration;

  /** `payloads`: parameters and details are logged, too. */
  constructor(logger: Logger, payloads: boolean, clock: Clock = backgroundClock) {
    this.#logger = logger;
    this.#payloads = payloads;
    this.#ration = new Ration(clock);
  }

  /** Never throws. */
  failed(task: FailedTask, thrown: unknown): void {
    const lines = [`${placeOf(task)} failed: ${stacksOf(thrown)}`];
    if (this.#payloads) {
      lines.push(`parameters: ${cut(task.parametersText)}`);
      const details = textOfJson(read(thrown, "details"));
      if (details !== undefined) lines.push(`details: ${cut(details)}`);
    }
    this.#write(task.action, lines.join("\n"));
  }

  refused(place: string, reason: string): void {
    this.#write("refused", `${place}: the server refused the result, ${reason}`);
  }

  #write(kind: string, line: string): void {
    const tell = (leftOut: number) => this.#log(`${kind}: ${leftOut} more lines were left out.`);
    if (this.#ration.allows(kind, tell)) this.#log(line);
  }

  #log(line: string): void {
    try {
      this.#logger.error(line);
    } catch {
      // A logger that fails must not cost the result of a task.
    }
  }
}

export function placeOf(task: FailedTask): string {
  const { action, actionId, workflow, executionId, attempt } = task;
  return `${action} (execution ${executionId}, action ${actionId} of ${workflow}, attempt ${attempt})`;
}

/** The stack of an error and those of its causes: `fetch failed` alone says nothing. */
function stacksOf(thrown: unknown): string {
  const stacks: string[] = [];
  let error = thrown;
  while (error !== undefined && error !== null && stacks.length <= causesMax) {
    const stack = read(error, "stack");
    stacks.push(cut(typeof stack === "string" && stack !== "" ? stack : messageOf(error)));
    error = read(error, "cause");
  }
  return stacks.length === 0 ? String(thrown) : stacks.join("\ncaused by: ");
}

function cut(text: string): string {
  return text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}…`;
}
