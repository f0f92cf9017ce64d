/** Schemas of explanations: see explain-routes.ts. */
import * as v from "valibot";
import { queueKinds, reasonKinds } from "../../runtime/shared/explanation.ts";
import { statusSchema } from "../schemas.ts";
import {
  atLeastSchema,
  failureSchema,
  itemCountsSchema,
  optionalTime,
  runningSchema,
  time,
  workerCountSchema,
} from "./response-schemas.ts";

const queueReport = {
  action: v.string(),
  waitingFor: v.optional(
    v.pipe(v.picklist(["json"]), v.description("Only workers that take JSON are given them.")),
  ),
  deliveredTo: v.optional(
    v.pipe(v.string(), v.description("The broker's place that tickets for its tasks are sent to.")),
  ),
  queued: v.number(),
  running: runningSchema,
  atLeast: atLeastSchema,
  oldestWaitingAt: optionalTime,
  workers: workerCountSchema,
  silentServers: v.optional(
    v.pipe(v.number(), v.description("Servers that did not say in time which workers poll them.")),
  ),
};

export const executionExplanationSchema = v.strictObject({
  id: v.string(),
  workflow: v.string(),
  version: v.number(),
  status: statusSchema,
  timeoutAt: v.optional(v.pipe(time, v.description("When its timeoutSeconds end it."))),
  reasons: v.array(
    v.strictObject({
      kind: v.picklist(reasonKinds),
      sentence: v.pipe(
        v.string(),
        v.description("For people: what it waits for, and what would move it."),
      ),
      action: v.optional(v.union([v.number(), v.string()])),
      since: optionalTime,
      until: v.optional(v.pipe(time, v.description("When it goes on by itself, or is given up."))),
      attempt: v.optional(v.number()),
      worker: v.optional(v.string()),
      error: v.optional(failureSchema),
      events: v.optional(v.array(v.string())),
      items: v.optional(itemCountsSchema),
      child: v.optional(v.pipe(v.string(), v.description("Id of the child that must end."))),
      waitsFor: v.optional(
        v.pipe(
          v.array(v.union([v.number(), v.string()])),
          v.description("Ids of the actions that must end first."),
        ),
      ),
      queue: v.optional(v.strictObject({ queue: v.string(), ...queueReport })),
    }),
  ),
});

export const queueExplanationSchema = v.strictObject({
  queue: v.string(),
  actions: v.array(
    v.strictObject({
      kind: v.picklist([...queueKinds, "held", "running"]),
      sentence: v.string(),
      ...queueReport,
    }),
  ),
  leftOut: v.optional(v.pipe(v.number(), v.description("Number of further actions with tasks."))),
});
