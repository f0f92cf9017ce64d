/** What an execution waits for and what would move it, in a sentence or two for people. */
import { unreachable } from "../../base/errors.ts";
import type { ExecutionState } from "../../model/execution.ts";
import type { Reason } from "../shared/explanation.ts";
import { kindOf, queueSentence } from "./queue-reports.ts";

const listedMax = 10;

export function sentenceOf(reason: Omit<Reason, "sentence">, state: ExecutionState): string {
  const { kind, action, until, queue, attempt, failure, events = [], waitsFor = [] } = reason;
  const at = until === undefined ? undefined : new Date(until).toISOString();
  switch (kind) {
    case "ended":
      return `It has ended and is ${state.status}: nothing moves it.`;
    case "paused":
      return `It is paused, and starts nothing. POST /v1/executions/${state.id}/resume goes on with it.`;
    case "continuing":
      return "A server goes on with it at this moment.";
    case "running":
      return (
        `${reason.worker === undefined ? "A worker" : `The worker ${reason.worker}`} runs attempt ${attempt ?? 1} of action ${action}. Its result ` +
        `moves it; without a result or a heartbeat the attempt counts as lost at ${at}.`
      );
    case "consumers":
      return `Action ${action} waits for a consumer. ${queueSentence(kind, queue!)}`;
    case "queued":
    case "workers-busy":
    case "no-workers":
    case "no-json-workers":
      return `Action ${action} waits for a worker. ${queueSentence(kind, queue!)}`;
    case "held":
      return `The task of action ${action} is given to no worker until the execution is resumed.`;
    case "backoff":
      return `Attempt ${attempt ?? 1} of action ${action} failed with ${failure?.code}. The next one starts at ${at}.`;
    case "delay":
      return `Action ${action} waits until ${at}.`;
    case "signal": {
      const end = at === undefined ? "without a time limit" : `until ${at}`;
      return (
        `Action ${action} waits ${end} for the event ${listed(events, "or")}. ` +
        `Send it with POST /v1/executions/${state.id}/signal.`
      );
    }
    case "script":
      return `A server evaluates the script of action ${action}. If that server dies, another one repeats it.`;
    case "script-turn":
      return `The script of action ${action} waits for scripts before it: the sandboxes have no room.`;
    case "child":
      return (
        `Action ${action} waits for the execution ${reason.child} to end. ` +
        `GET /v1/executions/${reason.child}/explain says what that waits for.`
      );
    case "items": {
      const { count = 0, completed = 0, failed = 0, open = 0 } = reason.items ?? {};
      const waiting = queue === undefined ? "" : ` ${queueSentence(kindOf(queue), queue)}`;
      return (
        `Action ${action} waits for its ${count} items: ${completed} have completed, ${failed} have failed, ` +
        `${open} are open.${waiting} GET /v1/executions/${state.id}/actions/${action}/items lists them.`
      );
    }
    case "sending":
      return `Action ${action} waits until its signal is stored; it is sent again for as long as that takes.`;
    case "join":
      return `Action ${action} waits for ${listed(waitsFor, "and")} to end.`;
    default:
      return unreachable(kind);
  }
}

function listed(all: readonly (string | number)[], last: "and" | "or"): string {
  const shown = all.slice(0, listedMax);
  if (all.length > listedMax) return `${shown.join(", ")} ${last} ${all.length - listedMax} more`;
  return all.length < 2
    ? shown.join("")
    : `${shown.slice(0, -1).join(", ")} ${last} ${shown.at(-1)}`;
}
