/** Keys over `/v1`: scopes of callers. The text of a key is only in the answer that makes it. */

import * as v from "valibot";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { Key } from "../../model/key.ts";
import * as requests from "../schemas.ts";
import { moment } from "./json.ts";
import { type Route, route } from "./route.ts";
import * as servers from "./server-schemas.ts";
import { pageView } from "./views.ts";

const tag = "Keys";

function keyView({ createdAt, revokedAt, ...key }: Key) {
  const revoked = revokedAt === undefined ? {} : { revokedAt: moment(revokedAt) };
  return { ...key, createdAt: moment(createdAt), ...revoked };
}

export const keyRoutes: readonly Route[] = [
  route("POST /v1/keys", {
    id: "createKey",
    tag,
    summary: "Create a key; its text is returned only here",
    description:
      "The first key is created with the secret that the server prints at start; from then on every call needs a key.",
    access: "first-key",
    body: requests.newKeySchema,
    bodyBytesMax: limits.controlBodyBytesMax,
    responses: { 201: servers.createdKeySchema },
    errors: ["INVALID_STATE", "RESOURCE_EXHAUSTED", "UNKNOWN_OUTCOME"],
    async handle({ body, services, audit }) {
      const { name, scopes, actions } = body;
      const wanted = { name, scopes: [...new Set(scopes)], ...defined({ actions }) };
      const { key, text } = await services.keys.create(wanted);
      audit("key made", key.id);
      return { status: 201, json: { ...keyView(key), key: text } };
    },
  }),
  route("GET /v1/keys", {
    id: "listKeys",
    tag,
    summary: "List keys, including revoked ones, without their secrets",
    description: "Their names, scopes and times, one page at a time.",
    access: "admin",
    query: {
      limit: requests.limitSchema,
      cursor: requests.cursorSchema((text) => v.is(requests.keyIdSchema, text)),
    },
    responses: { 200: servers.keysSchema },
    async handle({ query, services }) {
      const page = await services.keys.list(defined(query));
      return { status: 200, json: pageView(page, keyView) };
    },
  }),
  route("DELETE /v1/keys/{id}", {
    id: "revokeKey",
    tag,
    summary: "Revoke a key: within seconds every server refuses it",
    description: "Calls and event streams with the key end within seconds, on every server.",
    access: "admin",
    params: { id: requests.keyIdSchema },
    responses: { 204: null },
    errors: ["NOT_FOUND", "UNKNOWN_OUTCOME"],
    async handle({ params, services, audit }) {
      await services.keys.revoke(params.id);
      audit("key revoked", params.id);
      return { status: 204 };
    },
  }),
];
