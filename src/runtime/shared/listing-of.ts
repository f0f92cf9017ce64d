/** What lists show of an execution. */
import { defined } from "../../base/defined.ts";
import type { Execution } from "../../model/execution.ts";
import type { Listing } from "../../store/store.ts";

export function listingOf({ state }: Pick<Execution, "state">): Listing {
  return {
    id: state.id,
    workflow: state.workflow,
    version: state.version,
    status: state.status,
    startedAt: state.startedAt,
    ...defined({
      endedAt: state.endedAt,
      correlationId: state.correlationId,
      parent: state.parent?.id,
      inline: state.inline === undefined ? undefined : (true as const),
    }),
  };
}
