/**
 * The worker service in JSON as a part of the OpenAPI document: made from its descriptors, and from
 * the comments of its file.
 */
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type ErrorCode, errorKinds } from "../../base/errors.ts";
import { comments } from "../../gen/orchy/v1/worker_comments.ts";
import { WorkerService } from "../../gen/orchy/v1/worker_pb.ts";
import { isFree } from "./decode-json.ts";

type JsonObject = Record<string, unknown>;

interface WorkerDocument {
  readonly paths: JsonObject;
  readonly schemas: JsonObject;
}

/** Names of functions in generated clients, by methods. */
const operationIds = {
  registerActions: "registerActions",
  poll: "pollTasks",
  complete: "completeTasks",
  heartbeat: "sendHeartbeats",
  release: "releaseTasks",
} as const satisfies Record<keyof typeof WorkerService.method, string>;

const errors: readonly ErrorCode[] = [
  "INVALID_ARGUMENT",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "REQUEST_TIMEOUT",
  "TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "MISDIRECTED",
  "TOO_MANY",
  "INTERNAL",
  "NOT_IMPLEMENTED",
  "UNAVAILABLE",
  "RESOURCE_EXHAUSTED",
  "UNKNOWN_OUTCOME",
];

const errorName = "WorkerError";

export function workerDocument(): WorkerDocument {
  const schemas: JsonObject = { [errorName]: errorSchema() };
  const paths: JsonObject = {};
  for (const [name, method] of Object.entries(WorkerService.method)) {
    const description = comments[`${WorkerService.typeName}.${method.name}`]!;
    addMessage(schemas, method.input, true);
    addMessage(schemas, method.output, false);
    paths[`/${WorkerService.typeName}/${method.name}`] = {
      post: {
        operationId: operationIds[name as keyof typeof operationIds],
        summary: description.split(/[:,.]/)[0],
        description,
        tags: ["Workers"],
        security: [{ key: ["worker"] }, {}],
        requestBody: { required: true, content: json(reference(method.input)) },
        responses: {
          200: { description: "Done.", content: json(reference(method.output)) },
          ...refusals(),
        },
      },
    };
  }
  return { paths, schemas };
}

function refusals(): JsonObject {
  const all: Record<string, { description: string; content: JsonObject }> = {};
  for (const code of errors) {
    const { status, connect, sentence } = errorKinds[code];
    const before = all[status] === undefined ? "" : `${all[status].description} `;
    const description = `${before}${connect}: ${sentence}`;
    all[status] = { description, content: json({ $ref: `#/components/schemas/${errorName}` }) };
  }
  return all;
}

function errorSchema(): JsonObject {
  return {
    type: "object",
    description: "As the Connect protocol defines it.",
    properties: { code: { type: "string" }, message: { type: "string" } },
    required: ["code", "message"],
  };
}

function json(schema: JsonObject): JsonObject {
  return { "application/json": { schema } };
}

function reference(message: DescMessage): JsonObject {
  return { $ref: `#/components/schemas/${nameOf(message)}` };
}

/** REST has names such as Failure, too. */
function nameOf({ name }: DescMessage | DescEnum): string {
  return `Worker${name}`;
}

/** With the messages and enums within it. Requests refuse unknown members. */
function addMessage(schemas: JsonObject, message: DescMessage, isClosed: boolean): void {
  if (isFree(message) || Object.hasOwn(schemas, nameOf(message))) return;
  const properties: JsonObject = {};
  schemas[nameOf(message)] = {
    type: "object",
    ...described(message.typeName),
    properties,
    ...(isClosed && { additionalProperties: false }),
  };
  for (const field of message.fields) {
    if (field.message !== undefined) addMessage(schemas, field.message, isClosed);
    if (field.enum !== undefined) schemas[nameOf(field.enum)] = enumSchema(field.enum);
    const schema = fieldSchema(field);
    const value = field.fieldKind === "list" ? { type: "array", items: schema } : schema;
    properties[field.jsonName] = { ...value, ...described(`${message.typeName}.${field.name}`) };
  }
}

function described(name: string): JsonObject {
  const description = comments[name];
  return description === undefined ? {} : { description };
}

function enumSchema(description: DescEnum): JsonObject {
  return {
    type: "string",
    enum: description.values.map(({ name }) => name),
    ...described(description.typeName),
  };
}

/** Of a field, or of one item of a list, as protobuf writes it in JSON. */
function fieldSchema(field: DescField): JsonObject {
  if (field.enum !== undefined) return { $ref: `#/components/schemas/${nameOf(field.enum)}` };
  if (field.message !== undefined) {
    if (!isFree(field.message)) return reference(field.message);
    return field.message.name === "Struct" ? { type: "object", additionalProperties: true } : {};
  }
  return scalarSchemas[field.scalar as keyof typeof scalarSchemas];
}

/** Those that the service uses. */
const scalarSchemas = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.INT32]: { type: "integer", format: "int32" },
  [ScalarType.INT64]: { type: "string", format: "int64" },
  [ScalarType.DOUBLE]: { type: "number", format: "double" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
} as const;
