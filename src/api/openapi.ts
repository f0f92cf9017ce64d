/**
 * The OpenAPI 3.1 document, made from the route table, the schemas that check the requests, and the
 * descriptors of the worker service.
 */

import { toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { defined } from "../base/defined.ts";
import { type ErrorCode, errorKinds } from "../base/errors.ts";
import { version } from "../config/version.ts";
import { actionDefinitionSchema, definitionSchemas } from "../language/check/schema.ts";
import * as explanations from "./rest/explanation-schemas.ts";
import * as legacy from "./rest/legacy-schemas.ts";
import * as responses from "./rest/response-schemas.ts";
import { type Fields, type Route, type Schema, tags } from "./rest/route.ts";
import * as servers from "./rest/server-schemas.ts";
import * as sources from "./rest/source-schemas.ts";
import { workerDocument } from "./rpc/worker-document.ts";
import * as requests from "./schemas.ts";

type JsonObject = Record<string, unknown>;

/** What any request can meet, besides what its route names. The door may turn away any. */
const commonErrors: readonly ErrorCode[] = [
  "INVALID_ARGUMENT",
  "PERMISSION_DENIED",
  "MISDIRECTED",
  "INTERNAL",
  "UNAVAILABLE",
];
const bodyErrors: readonly ErrorCode[] = ["TOO_LARGE", "REQUEST_TIMEOUT"];

export function openapiDocument(routes: readonly Route[]): JsonObject {
  const paths: Record<string, JsonObject> = {};
  const worker = workerDocument();
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Orchy",
      version,
      description:
        "Workflows as JSON, executed by workers in any language. Bodies may be compressed: " +
        "`Content-Encoding` gzip, deflate, br or zstd.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths: { ...paths, ...worker.paths },
    components: {
      securitySchemes: {
        key: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "orchy_<id>_<secret>",
          description: "A key from POST /v1/keys. Not needed until the first key exists.",
        },
      },
      schemas: { ...namedSchemas(), ...worker.schemas },
    },
  };
}

function operation(route: Route): JsonObject {
  return {
    operationId: route.id,
    summary: route.summary,
    description: route.description,
    tags: [route.tag],
    security: security(route),
    parameters: [
      ...parameters(route.params, "path"),
      ...parameters(route.query, "query"),
      ...parameters(route.headers, "header"),
    ],
    ...defined({
      requestBody: route.body && {
        required: !route.bodyOptional,
        content: { "application/json": { schema: jsonSchema(route.body) } },
      },
    }),
    responses: describedResponses(route),
  };
}

/** What a key must be good for; without any key in the store, nothing is needed. */
function security({ access }: Route): JsonObject[] {
  if (access === "open") return [];
  if (access === "first-key") return [{ key: ["admin"] }];
  return [{ key: access === "key" ? [] : [access] }, {}];
}

function parameters(entries: Fields, place: "path" | "query" | "header"): JsonObject[] {
  return Object.entries(entries as Record<string, Schema>).map(([name, schema]) => ({
    name,
    in: place,
    required: schema.type !== "optional",
    // Absent and empty are one: scripts leave `?status=` behind.
    ...(place === "query" && { allowEmptyValue: true }),
    schema: jsonSchema(schema),
  }));
}

function describedResponses(route: Route): JsonObject {
  const all: Record<string, JsonObject> = {};
  for (const code of errorsOf(route)) {
    const { status, sentence } = errorKinds[code];
    const before = all[status]?.description;
    all[status] = {
      description: before ? `${before} ${code}: ${sentence}` : `${code}: ${sentence}`,
      content: { "application/json": { schema: errorReference(route) } },
    };
  }
  const answered = Object.entries(route.responses);
  // Every operation must have a response besides its errors; of this one none is settled yet.
  if (answered.length === 0) all.default = { description: "Not built yet." };
  for (const [status, answer] of answered) {
    const ok = Number(status) < 400;
    all[status] = { description: ok ? "Done." : "Not now.", ...content(answer) };
  }
  return all;
}

function errorsOf(route: Route): ReadonlySet<ErrorCode> {
  // Of pages every POST must say that it is JSON; of others only what has a body, over /v1.
  const isTyped = route.method === "POST" || (route.body && route.style === "v1");
  return new Set<ErrorCode>([
    ...commonErrors,
    ...route.errors,
    ...(route.body ? bodyErrors : []),
    ...(isTyped ? (["UNSUPPORTED_MEDIA_TYPE"] as const) : []),
    ...(route.access === "open" ? [] : (["UNAUTHENTICATED"] as const)),
  ]);
}

function errorReference(route: Route): JsonObject {
  return jsonSchema(route.style === "v1" ? responses.errorSchema : responses.legacyErrorSchema);
}

function content(answer: Schema | string | null): JsonObject {
  if (answer === null) return {};
  if (typeof answer === "string") return { content: { [answer]: { schema: {} } } };
  return { content: { "application/json": { schema: jsonSchema(answer) } } };
}

/** Objects and enumerations are named after what exports them: `startSchema` is `Start`. */
const named = new Map<Schema, string>(
  Object.entries({
    ...requests,
    ...responses,
    ...servers,
    ...legacy,
    ...explanations,
    ...sources,
  }).flatMap(([name, schema]) =>
    typeof schema !== "function" && /object$|^picklist$/.test(schema.type)
      ? [[schema, capitalized(name.replace(/Schema$/, ""))]]
      : [],
  ),
);

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const referenceTo = (name: string) => `#/components/schemas/${name}`;

/** Rules that JSON Schema cannot express are left out; they still apply. */
const conversion = {
  target: "draft-2020-12",
  typeMode: "input",
  errorMode: "ignore",
  overrideRef: ({ referenceId }: { referenceId: string }) => referenceTo(referenceId),
} as const;

function namedSchemas(): JsonObject {
  const definitions = Object.fromEntries([...named].map(([schema, name]) => [name, schema]));
  // The path names the action, so the body may leave its name out.
  const { required: _name, ...ActionDefinition } = actionDefinitionSchema;
  return {
    ...toJsonSchemaDefs(definitions, conversion),
    ...definitionSchemas(referenceTo),
    ActionDefinition,
    Action: actionDefinitionSchema,
  };
}

function jsonSchema(schema: v.GenericSchema): JsonObject {
  const name = named.get(schema);
  if (name !== undefined) return { $ref: referenceTo(name) };
  const { $schema: _dialect, ...rest } = toJsonSchema(schema, conversion);
  return rest;
}
