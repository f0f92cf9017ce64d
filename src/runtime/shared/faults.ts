/** Faults of the store: as errors that say what callers may do, and as lines of the log. */
import { OrchyError } from "../../base/errors.ts";
import { StoreFault } from "../../store/store.ts";
import { asError, type LogFields, type Logger } from "../../telemetry/log.ts";

/**
 * A warning, except for what follows from the store's being away: the outage is logged once, and
 * not again with each call that fails because of it.
 */
export function logFault(log: Logger, message: string, thrown: unknown, fields?: LogFields): void {
  log[isOfStore(thrown) ? "debug" : "warn"](message, { ...fields, error: asError(thrown) });
}

/** It comes from the store's being away or full, or from too much work at once: it passes. */
export function isOfStore(thrown: unknown): boolean {
  if (thrown instanceof StoreFault) return true;
  return thrown instanceof OrchyError && storeCodes.has(thrown.code);
}

const storeCodes: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "UNKNOWN_OUTCOME",
  "RESOURCE_EXHAUSTED",
]);

export async function tellFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof StoreFault ? asOrchyError(error) : error;
  }
}

function asOrchyError(fault: StoreFault): OrchyError {
  if (fault.outcome === "unknown") {
    return new OrchyError(
      "UNKNOWN_OUTCOME",
      "The store did not confirm the change; repeat the call.",
    );
  }
  if (fault.reason === "exhausted") {
    return new OrchyError("RESOURCE_EXHAUSTED", "The store has no room left; nothing was changed.");
  }
  return new OrchyError("UNAVAILABLE", "The store cannot be reached; nothing was changed.");
}
