/** The rules of all operations. */
import type { Operation } from "../../model/event.ts";
import { cancel } from "./cancel.ts";
import { complete } from "./complete.ts";
import { fail } from "./fail.ts";
import { maxConcurrency } from "./max-concurrency.ts";
import { pause } from "./pause.ts";
import { rerun } from "./rerun.ts";
import { resume } from "./resume.ts";
import { retry } from "./retry.ts";
import { retryNow } from "./retry-now.ts";
import type { OperationRules } from "./rules.ts";
import { skip } from "./skip.ts";

const table: { readonly [Name in Operation]: OperationRules<Name> } = {
  pause,
  resume,
  cancel,
  skip,
  complete,
  fail,
  "retry-now": retryNow,
  "max-concurrency": maxConcurrency,
  retry,
  rerun,
};

/** Made for its events, so they may be used with this operation and no other. */
export function operationRules(operation: Operation): OperationRules {
  return table[operation] as OperationRules;
}
