/** Why an event was not applied, as an error for the caller. */
import { defined } from "../../base/defined.ts";
import { OrchyError, unreachable } from "../../base/errors.ts";
import type { Refusal } from "../../model/event.ts";
import type { ExecutionStatus } from "../../model/execution.ts";

/** `status`: of the execution. */
export function refusalError(refusal: Refusal, status: ExecutionStatus): OrchyError {
  const { message } = refusal;
  switch (refusal.type) {
    case "invalid-state": {
      const { actionStatus } = refusal;
      return new OrchyError("INVALID_STATE", message, [], { status, ...defined({ actionStatus }) });
    }
    case "no-action":
      return new OrchyError("NOT_FOUND", message);
    case "refused": {
      const { pointer } = refusal;
      return new OrchyError("INVALID_ARGUMENT", "The body is invalid.", [{ pointer, message }]);
    }
    default:
      return unreachable(refusal);
  }
}

export function unreadError(): OrchyError {
  return new OrchyError(
    "UNAVAILABLE",
    "Servers of an earlier version share the store, and do not know this operation. Nothing was changed. Update them, and try again some minutes later.",
  );
}
