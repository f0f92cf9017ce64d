/** Schemas of the responses: for the OpenAPI document, and for tests. */

import * as v from "valibot";
import { inTime } from "../../base/amount.ts";
import { errorKinds } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { actionStatusSchema, definitionSchema, statusSchema } from "../schemas.ts";

export const time = v.pipe(v.string(), v.isoTimestamp());
const json = v.unknown();
export const optionalTime = v.optional(time);

export const problemSchema = v.strictObject({
  pointer: v.pipe(
    v.string(),
    v.description(
      "JSON pointer into the body; ?name in the query, {name} in the path, or a header.",
    ),
  ),
  message: v.string(),
});

const warnings = v.array(problemSchema);

export const errorSchema = v.strictObject({
  error: v.looseObject({
    code: v.picklist(Object.keys(errorKinds)),
    message: v.string(),
    details: v.array(problemSchema),
  }),
});

export const legacyErrorSchema = v.strictObject({ error: v.string() });

const incompleteSchema = v.optional(
  v.pipe(
    v.boolean(),
    v.description(
      "True: the search was ended before the page was full, as it had looked at very many entries " +
        "that do not match; go on with the cursor.",
    ),
  ),
);

const cursor = v.optional(
  v.pipe(v.string(), v.description("Pass it to get the next page; absent on the last page.")),
);

export function page(item: v.GenericSchema) {
  return v.strictObject({ items: v.array(item), cursor });
}

export const savedWorkflowSchema = v.strictObject({
  name: v.string(),
  version: v.number(),
  created: v.pipe(v.boolean(), v.description("False: it equals the newest version.")),
  warnings,
});

export const validatedSchema = v.strictObject({ valid: v.literal(true), warnings });

const workflowSummary = { name: v.string(), version: v.number(), savedAt: time };
export const workflowSchema = v.strictObject({
  ...workflowSummary,
  definition: definitionSchema,
});

export const workflowsSchema = page(v.strictObject(workflowSummary));
export const versionsSchema = page(v.strictObject({ version: v.number(), savedAt: time }));

/** In the OpenAPI document it is the schema of the rules of an action. */
export const actionSchema = v.looseObject({ name: v.string() });

/** Workers of a queue. */
export const workerCountSchema = v.pipe(
  v.strictObject({ waiting: v.number(), busy: v.number() }),
  v.description("Workers that poll for it now, and workers without room, of all servers."),
);

export const atLeastSchema = v.optional(
  v.pipe(
    v.boolean(),
    v.description(
      "There are at least so many queued and running tasks: the store does not count large numbers.",
    ),
  ),
);

export const runningSchema = v.optional(
  v.pipe(v.number(), v.description("Absent: the store does not count running tasks.")),
);

export const actionStatsSchema = v.strictObject({
  definition: actionSchema,
  registered: v.pipe(
    v.boolean(),
    v.description("False: it only has tasks; its rules are the defaults."),
  ),
  queued: v.number(),
  running: runningSchema,
  atLeast: atLeastSchema,
  oldestWaitingAt: optionalTime,
  queues: v.array(
    v.strictObject({
      queue: v.string(),
      queued: v.number(),
      running: runningSchema,
      atLeast: atLeastSchema,
      oldestWaitingAt: optionalTime,
      workers: workerCountSchema,
    }),
  ),
});

export const actionsSchema = page(actionStatsSchema);

export const failureSchema = v.strictObject({
  code: v.string(),
  message: v.string(),
  details: v.optional(json),
  action: v.optional(v.string()),
});

export const startedSchema = v.strictObject({
  id: v.string(),
  status: statusSchema,
  created: v.pipe(v.boolean(), v.description("False: the same request was made before.")),
  deleted: v.optional(
    v.pipe(v.boolean(), v.description("True: it has ended and has been deleted.")),
  ),
  endedAt: optionalTime,
});

export const resultSchema = v.strictObject({
  id: v.string(),
  status: statusSchema,
  result: v.optional(json),
  error: v.optional(failureSchema),
});

export const startedResultSchema = v.strictObject({
  ...resultSchema.entries,
  created: v.boolean(),
});

const listing = {
  id: v.string(),
  workflow: v.string(),
  version: v.number(),
  status: statusSchema,
  startedAt: time,
  endedAt: optionalTime,
  correlationId: v.optional(v.string()),
};

export const executionsSchema = v.strictObject({
  ...page(v.strictObject({ ...listing, parent: v.optional(v.strictObject({ id: v.string() })) }))
    .entries,
  incomplete: incompleteSchema,
});

export const attemptSchema = v.strictObject({
  number: v.number(),
  worker: v.optional(v.string()),
  startedAt: optionalTime,
  endedAt: optionalTime,
  leaseUntil: optionalTime,
  heartbeatAt: optionalTime,
  progress: v.optional(json),
  error: v.optional(failureSchema),
});

export const itemCountsSchema = v.pipe(
  v.record(v.picklist(["count", "open", "completed", "failed"]), v.number()),
  v.description("Of a map: how many items there are, are open, and have ended."),
);

const sizeSchema = v.optional(
  v.pipe(v.number(), v.description("Size as JSON, of a payload that is not shown.")),
);

export const executionActionSchema = v.strictObject({
  id: v.union([v.number(), v.string()]),
  type: v.picklist(["user", "system"]),
  name: v.string(),
  status: actionStatusSchema,
  unpolled: v.optional(
    v.pipe(
      v.boolean(),
      v.description(
        `Its task is queued, and no worker that can be given it has polled for ${inTime(limits.unpolledMs)}.`,
      ),
    ),
  ),
  waitingFor: v.optional(
    v.pipe(
      v.picklist(["json"]),
      v.description(
        "Its task is queued, and its parameters are too deep or too large for google.protobuf.Struct: " +
          "only workers that take JSON are given it.",
      ),
    ),
  ),
  skippedBy: v.optional(
    v.pipe(
      v.picklist(["dead-path", "failure", "lost-race", "hand"]),
      v.description("Why it did not run, or was cancelled while the execution went on."),
    ),
  ),
  causes: v.optional(
    v.pipe(
      v.array(v.union([v.number(), v.string()])),
      v.description(
        `The failed actions because of which it was skipped: the first ${limits.skipCausesNamedMax}.`,
      ),
    ),
  ),
  route: v.optional(v.string()),
  startedAt: optionalTime,
  endedAt: optionalTime,
  dueAt: optionalTime,
  events: v.optional(v.array(v.string())),
  child: v.optional(
    v.pipe(v.string(), v.description("The execution that it has started: the last one.")),
  ),
  rounds: v.optional(v.pipe(v.number(), v.description("Of a loop: how many have ended."))),
  error: v.optional(failureSchema),
  items: v.optional(itemCountsSchema),
  attempts: v.array(attemptSchema),
  output: v.optional(json),
  outputBytes: sizeSchema,
});

const itemSchema = v.strictObject({
  index: v.number(),
  status: actionStatusSchema,
  attempt: v.optional(v.number()),
  startedAt: optionalTime,
  endedAt: optionalTime,
  dueAt: optionalTime,
  child: v.optional(v.string()),
  output: v.optional(json),
  error: v.optional(failureSchema),
});

export const itemsSchema = v.strictObject({
  ...page(itemSchema).entries,
  incomplete: incompleteSchema,
});

const parentSchema = v.pipe(
  v.strictObject({
    id: v.string(),
    action: v.pipe(v.string(), v.description("The id of the action that has started it.")),
    item: v.optional(v.pipe(v.number(), v.description("Of a map: the index of the item."))),
    detached: v.optional(v.boolean()),
  }),
  v.description("The execution that has started this one."),
);

export const executionSchema = v.strictObject({
  ...listing,
  run: v.number(),
  pausedAt: optionalTime,
  cancelReason: v.optional(v.string()),
  parent: v.optional(parentSchema),
  input: v.optional(json),
  inputBytes: sizeSchema,
  result: v.optional(json),
  resultBytes: sizeSchema,
  error: v.optional(failureSchema),
  actions: v.array(executionActionSchema),
  data: v.optional(
    v.pipe(
      v.looseObject({ input: json }),
      v.description("What templates see: the input, and {output} by action id."),
    ),
  ),
  incomplete: v.optional(
    v.pipe(v.boolean(), v.description("True: further payloads are neither shown nor measured.")),
  ),
  bufferedSignals: v.array(v.string()),
});

export const historySchema = page(
  v.strictObject({
    sequence: v.number(),
    at: time,
    kind: v.string(),
    action: v.optional(v.string()),
    attempt: v.optional(v.number()),
    details: v.optional(json),
    who: v.optional(
      v.pipe(v.string(), v.description("Of an operation by hand: the name of the caller's key.")),
    ),
  }),
);

export const operationAnswerSchema = v.strictObject({ id: v.string(), status: statusSchema });
const deliverySchema = v.optional(
  v.pipe(
    v.picklist(["delivered", "buffered"]),
    v.description("Whether an action took it, or it is kept for one; absent for a duplicate."),
  ),
);
export const signalAllAnswerSchema = v.strictObject({
  sent: v.array(
    v.strictObject({
      executionId: v.string(),
      outcome: v.picklist(["accepted", "duplicate", "ended", "not-found", "too-many"]),
      delivery: deliverySchema,
    }),
  ),
});
export const signalAnswerSchema = v.strictObject({
  outcome: v.picklist(["accepted", "duplicate"]),
  delivery: deliverySchema,
  warnings: v.optional(warnings),
});
