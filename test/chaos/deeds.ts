/** Whether operations by hand took effect, each once. */
import { isDeepStrictEqual } from "node:util";
import type { Findings } from "./judge.ts";
import type { Shown } from "./kind.ts";
import type { Story } from "./ledger.ts";
import type { HistoryEntry } from "./oracle.ts";

const kindsOfEntries: Readonly<Record<string, string>> = {
  retry: "execution.retried",
  rerun: "execution.rerun",
};

export function checkDeeds(
  story: Story,
  shown: Shown,
  history: readonly HistoryEntry[],
  { problems, losses }: Findings,
): void {
  for (const { operation, operationId, isAcknowledged } of story.deeds) {
    const kind = kindsOfEntries[operation] ?? `operation.${operation}`;
    const done = history.filter((entry) => entry.details?.reason === operationId);
    const wrong = done.find((entry) => entry.kind !== kind);
    if (wrong !== undefined) problems.push(`${operationId} is ${wrong.kind}`);
    if (done.length > 1) problems.push(`${operationId} was done ${done.length} times`);
    if (done.length === 0 && isAcknowledged) losses.push(["operation", `${operationId} is lost`]);
    else if (done.length === 1) checkHold(operation, operationId, shown, { problems, losses });
  }
  for (const [action, wanted] of Object.entries(story.kind.completions ?? {})) {
    const is = (entry: HistoryEntry) =>
      entry.kind === "action.completed" && entry.action === action;
    const count = history.filter(is).length;
    if (count !== wanted)
      losses.push(["run", `${action} has completed ${count} times, not ${wanted}`]);
  }
  for (const [index, output] of story.kept ?? []) {
    const now = shown.data.map?.output?.results?.[index];
    if (isDeepStrictEqual(now, output)) continue;
    losses.push(["item", `item ${index} had ${JSON.stringify(output)}: ${JSON.stringify(now)}`]);
  }
}

/** What was done to `hold` shows in its status, its output, and in what ran then. */
function checkHold(
  operation: string,
  operationId: string,
  { actions, data }: Shown,
  { problems }: Findings,
): void {
  const status = { skip: "SKIPPED", complete: "COMPLETED", fail: "FAILED" }[operation];
  const statusOf = (id: string) => actions.find((action) => action.id === id)?.status;
  // Where it was retried, what follows has another name and another check.
  if (status === undefined || statusOf("done") === undefined) return;
  const [ran, not] = operation === "fail" ? ["instead", "done"] : ["done", "instead"];
  const is = [statusOf("hold"), statusOf(ran), statusOf(not), data[ran]?.output?.saw];
  const wanted = [status, "COMPLETED", "SKIPPED", operationId];
  if (!isDeepStrictEqual(is, wanted)) problems.push(`after ${operation} it has ${is.join(", ")}`);
}
