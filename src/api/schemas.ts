/**
 * What requests may carry, as schemas: they check every request and become the OpenAPI document.
 * Each rule carries the sentence that a caller reads when it is broken.
 */

import * as v from "valibot";
import { inBytes, inTime } from "../base/amount.ts";
import { limits } from "../base/limits.ts";
import {
  actionDefinitionSchema as actionRules,
  definitionSchemas,
} from "../language/check/schema.ts";
import type { JsonSchema } from "../language/readers/reader.ts";
import { actionStatuses, executionStatuses } from "../model/execution.ts";
import { scopes } from "../model/key.ts";
import {
  actionNameForm,
  isActionName,
  noControlsPattern,
  plainNameForm,
  plainNamePattern,
  wordIdPattern,
} from "../model/names.ts";

/** Text that can be stored, compared and logged: no control characters, no halves of characters. */
function words(charsMax: number) {
  return v.pipe(
    v.string(),
    v.minLength(1, "It must not be empty."),
    v.maxLength(charsMax, `It must be at most ${charsMax} characters long.`),
    v.regex(noControlsPattern, "It must not contain control characters."),
    v.check((text) => text.isWellFormed(), "It must be well-formed Unicode."),
  );
}

function wholeNumber(min: number, max: number) {
  return v.pipe(
    v.number(),
    v.integer("It must be a whole number."),
    v.minValue(min, `It must be at least ${min}.`),
    v.maxValue(max, `It must be at most ${max}.`),
  );
}

const nameRule = `It must be ${plainNameForm}.`;

/** Of workflows and queues. */
export const nameSchema = v.pipe(v.string(), v.regex(plainNamePattern, nameRule));
export const actionNameSchema = v.pipe(
  v.string(),
  v.minLength(1, "It must not be empty."),
  v.maxLength(limits.nameCharsMax, `It must be at most ${limits.nameCharsMax} characters long.`),
  v.check(isActionName, `It must be ${actionNameForm}.`),
  v.description(`The name of a user action: ${actionNameForm}; percent-encoded in paths.`),
);
/** Server-made ids are UUIDs; callers may choose their own. */
export const executionIdSchema = v.pipe(v.string(), v.regex(plainNamePattern, nameRule));
/** A number or a word, as text. */
export const actionIdSchema = v.pipe(
  v.string(),
  v.regex(
    new RegExp(`^(?:\\d{1,10}|${wordIdPattern.source.slice(1, -1)})$`),
    "It must be the id of an action.",
  ),
);
/** With what it is reached by in templates. */
export const dataPathSchema = v.pipe(
  v.string(),
  v.minLength(1, "It must not be empty."),
  v.maxLength(limits.pathCharsMax, `It must be at most ${limits.pathCharsMax} characters long.`),
  v.description(
    "A reference as in templates, such as $.input.lines[0] or $.3.output; percent-encoded.",
  ),
);
/** One range of bytes; what else the header may hold is ignored. */
export const rangeSchema = v.pipe(
  v.string(),
  v.description("bytes=0-65535 for a part of the value, which is 206 then."),
);
/** A place in a history: everything after the entry of this number; 0: from the beginning. */
export const sequenceSchema = wholeNumber(0, Number.MAX_SAFE_INTEGER);
export const versionSchema = wholeNumber(1, 2 ** 31 - 1);
export const prioritySchema = wholeNumber(limits.priorityMin, limits.priorityMax);
export const eventSchema = words(limits.eventNameCharsMax);
export const reasonSchema = words(limits.errorMessageCharsMax);
export const correlationIdSchema = words(limits.correlationIdCharsMax);
export const causeIdSchema = words(limits.signalIdCharsMax);
export const statusSchema = v.picklist(executionStatuses);
export const actionStatusSchema = v.picklist(actionStatuses);

export const idempotencyKeySchema = v.pipe(
  v.string(),
  v.minLength(1, "It must not be empty."),
  v.maxLength(
    limits.idempotencyKeyCharsMax,
    `It must be at most ${limits.idempotencyKeyCharsMax} characters long.`,
  ),
  v.regex(/^[\x20-\x7e]*$/, "It must consist of printable ASCII characters."),
);

/** Any JSON value; payloads are taken from the request's text, not from the parsed value. */
export const payloadSchema = v.pipe(
  v.unknown(),
  v.description(`Any JSON value, at most ${inBytes(limits.payloadBytesMax)}; passed on exactly.`),
);

const momentPattern = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** ISO 8601 with a zone, a date (UTC), or milliseconds since the epoch. */
export const momentSchema = v.pipe(
  v.string(),
  v.check(
    (text) => !Number.isNaN(parseMoment(text)),
    "It must be an ISO 8601 time such as 2030-01-31T12:00:00Z, or milliseconds since 1970.",
  ),
  v.description("ISO 8601 time with a zone, or milliseconds since 1970."),
);

/** NaN for what is not a timestamp. */
export function parseMoment(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return momentPattern.test(text) ? Date.parse(text) : Number.NaN;
}

export const waitSchema = v.pipe(
  v.number(),
  v.minValue(0, "It must be at least 0."),
  v.maxValue(limits.resultWaitSecondsMax, `It must be at most ${limits.resultWaitSecondsMax}.`),
  v.description("Seconds to wait for the end of the execution."),
);

export const limitSchema = v.optional(wholeNumber(1, limits.listLimitMax), limits.listLimitDefault);

const cursorRule = "Invalid cursor. Pass the `cursor` of the previous page unchanged.";

/** Cursors are opaque to callers; `isCursor` knows what the list in question gave out. */
export function cursorSchema(isCursor: (text: string) => boolean) {
  return v.optional(
    v.pipe(
      v.string(),
      v.check((text) => text.length <= 1_024 && isCursor(text), cursorRule),
      v.description("The `cursor` of the previous page; absent: the first page."),
    ),
  );
}

/**
 * Definitions are checked by the language, which reports every problem with its place; here they
 * only have to be objects, of fields that the language only describes.
 */
function described({ properties, description }: JsonSchema) {
  const fields = Object.entries(properties as Readonly<Record<string, JsonSchema>>);
  const entries = fields.map(([name, field]) => [
    name,
    v.optional(v.pipe(v.unknown(), v.description(String(field.description)))),
  ]);
  return v.pipe(v.looseObject(Object.fromEntries(entries)), v.description(String(description)));
}

/** In the OpenAPI document these two are the schemas of the language. */
export const definitionSchema = described(definitionSchemas((name) => name).Definition!);
export const actionDefinitionSchema = described(actionRules);

/** Over the legacy routes unknown fields and other spellings are allowed. */
export const legacyDefinitionSchema = described(definitionSchemas((name) => name).Definition!);
export const legacyActionDefinitionSchema = described(actionRules);

export const startSchema = v.strictObject({
  workflow: nameSchema,
  version: v.optional(versionSchema),
  input: v.optional(payloadSchema),
  executionId: v.optional(executionIdSchema),
  correlationId: v.optional(correlationIdSchema),
  priority: v.optional(prioritySchema),
  signal: v.optional(v.strictObject({ event: eventSchema, payload: v.optional(payloadSchema) })),
});

export const signalSchema = v.strictObject({
  event: eventSchema,
  payload: v.optional(payloadSchema),
  signalId: v.optional(causeIdSchema),
});

export const signalAllSchema = v.strictObject({
  correlationId: correlationIdSchema,
  ...signalSchema.entries,
});

/** Of every operation by hand. */
const byHand = {
  reason: v.optional(
    v.pipe(reasonSchema, v.description("Why; kept in the history and in the audit log.")),
  ),
  operationId: v.optional(
    v.pipe(
      causeIdSchema,
      v.description(
        `Makes a repeat of the call harmless for ${inTime(limits.causeSeconds * 1000)}.`,
      ),
    ),
  ),
};

export const operationSchema = v.strictObject(byHand);

export const maxConcurrencySchema = v.strictObject({
  maxConcurrency: wholeNumber(1, limits.mapConcurrencyMax),
  ...byHand,
});

/** The id of an action as definitions write it; as text, it is the action's key. */
const actionInBodySchema = v.union(
  [wholeNumber(0, 2 ** 31 - 1), actionIdSchema],
  "It must be the id of an action.",
);

export const rerunSchema = v.strictObject({
  action: actionInBodySchema,
  parameters: v.optional(
    v.pipe(payloadSchema, v.description("Instead of the action's own parameters; not a template.")),
  ),
  ...byHand,
});

export const forkSchema = v.strictObject({
  action: actionInBodySchema,
  outputs: v.optional(
    v.pipe(
      v.record(v.string(), v.unknown()),
      v.description("Other outputs of actions that are taken over, by their ids."),
    ),
  ),
  executionId: v.optional(executionIdSchema),
  version: v.optional(versionSchema),
  ...byHand,
});

export const skipSchema = v.strictObject({ output: v.optional(payloadSchema), ...byHand });

export const completeSchema = v.strictObject({
  output: v.optional(payloadSchema),
  route: v.optional(
    v.pipe(
      v.string(),
      v.maxLength(limits.routeNameCharsMax),
      v.description("A key of `next`, or `default`."),
    ),
  ),
  ...byHand,
});

export const errorCodeSchema = words(limits.errorCodeCharsMax);

export const failSchema = v.strictObject({
  code: errorCodeSchema,
  message: words(limits.errorMessageCharsMax),
  details: v.optional(
    v.pipe(v.unknown(), v.description(`At most ${inBytes(limits.errorDetailsBytesMax)}.`)),
  ),
  ...byHand,
});

/** Bodies of the legacy routes: unknown members are ignored. */
export const legacyStartSchema = v.object({
  name: nameSchema,
  input: v.optional(payloadSchema),
});

export const legacyFlowSchema = v.object({
  name: nameSchema,
  flowId: executionIdSchema,
});

export const legacyEventSchema = v.object({
  ...legacyFlowSchema.entries,
  event: eventSchema,
  payload: v.optional(payloadSchema),
});

export const keyIdSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{16}$/, "It must be the id of a key: 16 hexadecimal digits."),
);

export const newKeySchema = v.pipe(
  v.strictObject({
    name: v.pipe(
      words(limits.keyNameCharsMax),
      v.description("What the key is for, in words of your own."),
    ),
    scopes: v.pipe(
      v.array(v.picklist(scopes, `It must be one of ${scopes.join(", ")}.`)),
      v.minLength(1, "At least one scope is needed."),
      v.maxLength(scopes.length, `There are only ${scopes.length} scopes; name each once.`),
    ),
    actions: v.optional(
      v.pipe(
        v.array(actionNameSchema),
        v.minLength(1, "Name at least one action, or omit the field to allow all."),
        v.maxLength(limits.keyActionsMax, `At most ${limits.keyActionsMax} actions can be named.`),
        v.description(
          "Only for the scope worker: the actions whose tasks the key may poll and settle.",
        ),
      ),
    ),
  }),
  v.forward(
    v.check(
      ({ actions, scopes }) =>
        actions === undefined || (scopes.includes("worker") && !scopes.includes("admin")),
      "`actions` narrows the scope worker: name worker among the scopes, and not admin.",
    ),
    ["actions"],
  ),
);
