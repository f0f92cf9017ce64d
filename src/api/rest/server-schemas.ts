/** Schemas of the responses about servers, workers and keys. */
import * as v from "valibot";
import { scopes } from "../../model/key.ts";
import { optionalTime, page, time } from "./response-schemas.ts";

export const workersSchema = v.strictObject({
  items: v.array(
    v.strictObject({
      id: v.string(),
      actions: v.array(v.string()),
      queues: v.array(v.string()),
      lastSeenAt: time,
    }),
  ),
  leftOut: v.optional(
    v.pipe(v.number(), v.description("Number of further ones; the latest are listed.")),
  ),
});

export const serversSchema = page(
  v.strictObject({
    id: v.string(),
    name: v.string(),
    grpcAddress: v.string(),
    legacyAddress: v.optional(
      v.pipe(
        v.string(),
        v.description("Address at which legacy workers reach the port reserved for them."),
      ),
    ),
    httpAddress: v.string(),
    startedAt: time,
    version: v.string(),
    format: v.optional(
      v.pipe(
        v.number(),
        v.description("The newest format of a shared store that the server reads."),
      ),
    ),
  }),
);

const key = {
  id: v.string(),
  name: v.string(),
  scopes: v.array(v.picklist(scopes)),
  actions: v.optional(v.array(v.string())),
  createdAt: time,
  revokedAt: optionalTime,
};

export const createdKeySchema = v.strictObject({
  ...key,
  key: v.pipe(v.string(), v.description("The key, as callers send it. It is shown only here.")),
});

export const keysSchema = page(v.strictObject(key));

export const readinessSchema = v.strictObject({
  ready: v.boolean(),
  checks: v.record(v.string(), v.strictObject({ ok: v.boolean(), message: v.string() })),
});

export const liveSchema = v.strictObject({ status: v.literal("live") });
export const brokenSchema = v.strictObject({ status: v.literal("broken"), reason: v.string() });
