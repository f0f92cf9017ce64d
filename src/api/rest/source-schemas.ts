/** Schemas of sources: what is saved, and what is read. */
import * as v from "valibot";
import { inBytes } from "../../base/amount.ts";
import { limits } from "../../base/limits.ts";
import { nameSchema, prioritySchema, versionSchema } from "../schemas.ts";
import { page, time } from "./response-schemas.ts";

const template = (description: string) =>
  v.pipe(
    v.string(),
    v.minLength(1, "It must not be empty."),
    v.maxLength(limits.pathCharsMax, `It must be at most ${limits.pathCharsMax} characters long.`),
    v.description(description),
  );
const anyTemplate = (description: string) => v.pipe(v.unknown(), v.description(description));
const address = (description: string) => v.pipe(v.string(), v.description(description));

const startSchema = v.strictObject({
  workflow: nameSchema,
  version: v.optional(versionSchema),
  input: v.optional(anyTemplate("Template for the input; `$.message.value` by default.")),
  correlationId: v.optional(template("Template for the correlationId.")),
  priority: v.optional(prioritySchema),
});

const signalSchema = v.pipe(
  v.strictObject({
    event: template("Template for the name of the event."),
    executionId: v.optional(template("Template for the execution that gets it.")),
    correlationId: v.optional(
      template("Template for the correlationId of the executions that get it."),
    ),
    payload: v.optional(anyTemplate("Template for the payload; `$.message.value` by default.")),
  }),
  v.check(
    ({ executionId, correlationId }) =>
      (executionId === undefined) !== (correlationId === undefined),
    "It needs exactly one of executionId and correlationId.",
  ),
);

/** Of a topic or queue whose messages start executions, or are signals. */
export const sourceSchema = v.strictObject({
  from: address("`kafka:<topic>` in the cluster of `--kafka`, `sqs:<name>`, or `sqs:<URL>`."),
  format: v.optional(
    v.pipe(
      v.picklist(["json", "text"]),
      v.description("How the value of a message is read; `json` by default."),
    ),
  ),
  as: v.union(
    [v.strictObject({ start: startSchema }), v.strictObject({ signal: signalSchema })],
    "It must be an object with either start or signal.",
  ),
  idempotencyKey: v.optional(
    template("Template; messages for which it becomes the same count once."),
  ),
  deadLetter: v.optional(
    address("Where messages go that cannot be handled, as `from`; absent: they are parked."),
  ),
});

const count = v.number();
const statusSchema = v.strictObject({
  state: v.picklist(["running", "waiting", "failing"]),
  started: count,
  signalled: count,
  duplicates: count,
  deadLetters: count,
  inFlight: count,
  lag: v.optional(v.pipe(count, v.description("Messages that nobody has acknowledged."))),
  error: v.optional(v.strictObject({ at: time, message: v.string() })),
});

export const savedSourceSchema = v.strictObject({
  name: v.string(),
  ...sourceSchema.entries,
  savedAt: time,
  state: v.pipe(
    v.picklist(["running", "paused", "waiting", "failing", "unheld"]),
    v.description(
      "`waiting`: for the store; `failing`: the broker cannot be used; `unheld`: no server reads it.",
    ),
  ),
  server: v.optional(v.pipe(v.string(), v.description("Name of the server that reads it."))),
  status: v.optional(
    v.pipe(statusSchema, v.description("Counted by that server since it began with it.")),
  ),
});

export const sourcesSchema = page(savedSourceSchema);

export const parkedIdSchema = v.pipe(
  v.string(),
  v.regex(/^[\da-f-]{36}$/, "It must be the id of a parked message."),
);

export const parkedMessagesSchema = page(
  v.strictObject({
    id: v.string(),
    reason: v.string(),
    tries: count,
    parkedAt: time,
    message: v.strictObject({
      id: v.string(),
      key: v.optional(v.string()),
      value: v.optional(
        v.pipe(
          v.string(),
          v.description(`Absent: it is larger than ${inBytes(limits.sourceMessageBytesMax)}.`),
        ),
      ),
      headers: v.record(v.string(), v.string()),
      sentAt: time,
    }),
  }),
);
