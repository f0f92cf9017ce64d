/** What consumers of a broker send, and what they get. */
import * as v from "valibot";
import { inBytes } from "../../base/amount.ts";
import { limits } from "../../base/limits.ts";
import { errorCodeSchema, payloadSchema } from "../schemas.ts";

/** Names of an execution and of an action, numbers, and a seal; in base64. */
const ticketCharsMax = 2_048;

export const ticketSchema = v.pipe(
  v.string(),
  v.minLength(1, "It must not be empty."),
  v.maxLength(ticketCharsMax, `It must be at most ${ticketCharsMax} characters long.`),
  v.description("As the message has it."),
);

const workerId = v.optional(
  v.pipe(
    v.string(),
    v.maxLength(
      limits.workerIdCharsMax,
      `It must be at most ${limits.workerIdCharsMax} characters long.`,
    ),
    v.description("Shown in the execution, and as the holder of the lease."),
  ),
);

const leaseRule = `It must be ${limits.leaseSecondsMin} to ${limits.leaseSecondsMax}.`;

export const claimSchema = v.strictObject({
  ticket: ticketSchema,
  workerId,
  leaseSeconds: v.optional(
    v.pipe(
      v.number(),
      v.minValue(limits.leaseSecondsMin, leaseRule),
      v.maxValue(limits.leaseSecondsMax, leaseRule),
      v.description("How long it may be silent before a heartbeat; absent: until `deadline`."),
    ),
  ),
});

export const completeSchema = v.pipe(
  v.strictObject({
    ticket: ticketSchema,
    workerId,
    output: v.optional(payloadSchema),
    failure: v.optional(
      v.strictObject({
        code: v.optional(errorCodeSchema),
        message: v.optional(v.string()),
        details: v.optional(
          v.pipe(v.unknown(), v.description(`At most ${inBytes(limits.errorDetailsBytesMax)}.`)),
        ),
        retryable: v.optional(v.pipe(v.boolean(), v.description("True when absent."))),
      }),
    ),
  }),
  v.check(
    (body) => !("output" in body && "failure" in body),
    "Send `output` or `failure`, not both.",
  ),
);

const time = v.string();
const optional = { text: v.optional(v.string()), number: v.optional(v.number()) };

const taskSchema = v.strictObject({
  token: v.pipe(v.string(), v.description("Of the lease: for heartbeats, and for the result.")),
  executionId: v.string(),
  workflow: v.string(),
  workflowVersion: v.number(),
  actionId: v.string(),
  action: v.string(),
  attempt: v.number(),
  leaseUntil: v.pipe(time, v.description("End of the lease; a heartbeat moves it.")),
  deadline: v.pipe(time, v.description("End of the attempt.")),
  heartbeatMs: v.pipe(v.number(), v.description("Longest silence; 0: none is asked for.")),
  correlationId: optional.text,
  traceContext: optional.text,
  traceState: optional.text,
  index: v.optional(v.pipe(v.number(), v.description("Of an item of a map, from 0."))),
  item: v.optional(v.unknown()),
  parameters: v.unknown(),
});

const statuses =
  "`leased`: another worker has the task, until `leaseUntil` or longer. `held`: the execution is " +
  "paused. For both, leave the message: the broker delivers it again. `done`: a worker's result has " +
  "ended the attempt. `stale`: the attempt is over otherwise. For both, delete the message.";

const leaseUntil = v.optional(v.pipe(time, v.description("Where it is leased.")));

export const claimAnswerSchema = v.strictObject({
  status: v.pipe(
    v.picklist(["claimed", "leased", "held", "done", "stale"]),
    v.description(statuses),
  ),
  task: v.optional(taskSchema),
  leaseUntil,
});

export const completeAnswerSchema = v.strictObject({
  status: v.pipe(
    v.picklist(["accepted", "leased", "held", "done", "stale"]),
    v.description(statuses),
  ),
  leaseUntil,
});
