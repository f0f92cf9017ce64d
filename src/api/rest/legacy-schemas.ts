/** Schemas of the responses of the legacy routes. */
import * as v from "valibot";

const json = v.unknown();

export const createdSchema = v.strictObject({ created: v.literal(true) });
export const flowSchema = v.strictObject({ flowId: v.string() });
export const legacyActionSchema = v.strictObject({
  name: v.string(),
  retry_count: v.number(),
  retry_after_seconds: v.number(),
  retry_policy: v.string(),
  timeout_seconds: v.number(),
});
export const legacyExecutionSchema = v.strictObject({
  id: v.string(),
  state: v.string(),
  runningActions: v.array(v.union([v.number(), v.string()])),
  completedActions: v.array(v.union([v.number(), v.string()])),
  waitingOnEvent: v.pipe(v.string(), v.description("Empty when it waits for no event.")),
  executedActions: v.pipe(
    v.array(v.union([v.number(), v.string()])),
    v.description("The same as completedActions."),
  ),
  event: v.pipe(v.string(), v.description("The same as waitingOnEvent.")),
  data: v.looseObject({ input: json }),
});
export const legacyOperationSchema = v.strictObject({ id: v.string(), state: v.string() });
