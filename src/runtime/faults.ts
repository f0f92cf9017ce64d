/** Faults of the store, told to callers as what they may do about them. */
import { OrchyError } from "../errors.ts";
import { StoreFault } from "../store/store.ts";

export async function tellFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof StoreFault ? asOrchyError(error) : error;
  }
}

function asOrchyError(fault: StoreFault): OrchyError {
  if (fault.outcome === "unknown") {
    return new OrchyError("UNKNOWN_OUTCOME", "The store did not say whether it was done.");
  }
  if (fault.reason === "exhausted") {
    return new OrchyError("RESOURCE_EXHAUSTED", "The store has no room left; nothing was changed.");
  }
  return new OrchyError("UNAVAILABLE", "The store cannot be reached; nothing was changed.");
}
