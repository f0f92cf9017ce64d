/**
 * Counts and logs what becomes of executions: one line for what an operator may want to look into,
 * with the execution's id, and never a payload or a worker's own words.
 */
import { actionFailures } from "../../engine/stored/history.ts";
import type { Failure } from "../../model/execution.ts";
import { parseTaskId } from "../../model/ids.ts";
import type { DueItem } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { type Committed, isEnding } from "../driving/committed.ts";

export class Journal {
  readonly #log: Logger;
  readonly #metrics: Metrics;

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#metrics = metrics;
  }

  committed(committed: Committed): void {
    const { before, after, decision } = committed;
    const { id, workflow, status, failure } = after.state;
    if (before === undefined) {
      this.#metrics.executionStarted(workflow);
      this.#log.debug("an execution has started", { id, workflow });
    }
    for (const text of decision.effects.history) {
      for (const { action, attempt, details } of actionFailures(text)) {
        const { code } = details as Failure;
        const fields = { id, workflow, action, code, attempts: attempt };
        this.#log.info("an action has failed", {
          ...fields,
          worker: lastWorker(committed, action),
        });
      }
    }
    if (!isEnding(committed)) return;
    this.#metrics.executionEnded(workflow, status);
    const fields = { id, workflow, status, code: failure?.code, action: failure?.action };
    this.#log[status === "COMPLETED" ? "debug" : "info"]("an execution ended", fields);
  }

  /** A worker was silent for too long, or took too long. */
  lapsed({ key, taskId, workerId, leaseUntil, deadline }: DueItem & { kind: "lease" }): void {
    this.#log.info("a lease has lapsed", {
      id: key.id,
      action: parseTaskId(taskId)?.actionKey,
      worker: workerId,
      cause: leaseUntil < deadline ? "HEARTBEAT_LOST" : "TIMEOUT",
    });
  }
}

/** Who had the last attempt at an action. */
function lastWorker({ after, plan }: Committed, action: string | undefined): string | undefined {
  const record = after.records[plan.byKey.get(action ?? "") ?? -1];
  return record?.attempts?.at(-1)?.worker;
}
