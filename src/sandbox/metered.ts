/** A sandbox whose evaluations are measured. */
import type { ScriptOutcome } from "../model/event.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Sandbox } from "./sandbox.ts";

export function meterSandbox(sandbox: Sandbox, metrics: Metrics): Sandbox {
  return {
    get processes() {
      return sandbox.processes;
    },
    get queued() {
      return sandbox.queued;
    },
    hasQueued: (group) => sandbox.hasQueued(group),
    room: (group) => sandbox.room(group),
    onRoom: (listener) => sandbox.onRoom(listener),
    async evaluate(script, abort) {
      const startedAt = performance.now();
      const outcome = await sandbox.evaluate(script, abort);
      metrics.script(labelOf(outcome), performance.now() - startedAt);
      return outcome;
    },
    check: (expression) => sandbox.check(expression),
    stop: () => sandbox.stop(),
  };
}

/** Scripts choose codes of their own, of which there may be any number. */
function labelOf(outcome: ScriptOutcome): string {
  if (outcome.ok) return "ok";
  return outcome.code === "SCRIPT_LIMIT" ? outcome.code : "SCRIPT_ERROR";
}
