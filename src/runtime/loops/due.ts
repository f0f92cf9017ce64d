/** What a due item means: an event for its execution, or the end of its retention. */

import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { isDeadline, parseTimer } from "../../model/timer.ts";
import type { DueItem } from "../../store/store.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Driver } from "../driving/driver.ts";
import type { Standstill } from "../peers/standstill.ts";
import type { Journal } from "../reporting/journal.ts";
import type { Executions } from "../services/executions.ts";

interface DueOptions {
  readonly clock: Clock;
  readonly standstill: Pick<Standstill, "delayOf">;
  readonly metrics: Pick<Metrics, "due">;
  readonly journal: Pick<Journal, "lapsed">;
  readonly driver: Pick<Driver, "submit">;
  readonly executions: Pick<Executions, "remove">;
  /** Something in this partition is due at this moment. */
  readonly note: (partition: number, at: number) => void;
}

/** Resolves when it is handled; a rejection leaves it to its next showing. */
export async function handleDue(
  options: DueOptions,
  item: DueItem,
  claimId: string,
): Promise<void> {
  const { clock, standstill, metrics } = options;
  const delay = endsSomething(item) ? standstill.delayOf(dueAt(item)) : undefined;
  if (delay !== undefined) await delay;
  metrics.due(item.kind, clock.now() - dueAt(item));
  const { id } = item.key;
  switch (item.kind) {
    case "timer":
      if (parseTimer(item.id)?.kind === "retention") await remove(options, item);
      else await options.driver.submit(id, { type: "timer", id: item.id, claimId });
      return;
    case "lease": {
      const { taskId, token, leaseUntil, workerId } = item;
      const answer = await options.driver.submit(id, {
        type: "lease-expired",
        taskId,
        token,
        leaseUntil,
        heartbeat: leaseUntil < item.deadline,
        ...defined({ worker: workerId }),
      });
      if (answer.type === "accepted") options.journal.lapsed(item);
      return;
    }
    case "queue": {
      const { taskId, queueUntil } = item;
      await options.driver.submit(id, { type: "queue-timeout", taskId, queueUntil });
      return;
    }
  }
}

/** What ended later has run again since the timer was claimed, and has a timer of its new end. */
async function remove(options: DueOptions, item: DueItem & { kind: "timer" }): Promise<void> {
  const { clock, executions, note } = options;
  const { key, at: endedBefore } = item;
  const removed = await executions.remove(key, { endedBefore });
  if (removed === "sending") note(key.partition, clock.now() + limits.timerHideMs);
}

function dueAt(item: DueItem): number {
  if (item.kind === "timer") return item.at;
  return item.kind === "lease" ? item.leaseUntil : item.queueUntil;
}

/** What ends something that others had time for, as opposed to what only goes on then. */
function endsSomething(item: DueItem): boolean {
  return item.kind !== "timer" || isDeadline(item.id);
}
