/** The OpenAPI document: complete, well formed, and true to what the routes do. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { allRoutes } from "../../../src/api/rest/routes.ts";
import { WorkerService } from "../../../src/gen/orchy/v1/worker_pb.ts";
import { call, startTestServer, type TestServer } from "./support.ts";

let server: TestServer;
// biome-ignore lint/suspicious/noExplicitAny: a document to look around in.
let document: any;

beforeAll(async () => {
  server = await startTestServer();
  document = (await call(server, "GET", "/openapi.json")).json;
});
afterAll(() => server.stop());

test("names its version, and every route of the table", () => {
  expect(document.openapi).toBe("3.1.0");
  for (const route of allRoutes()) {
    const operation = document.paths[route.path]?.[route.method.toLowerCase()];
    expect(operation, `${route.method} ${route.path}`).toBeDefined();
    const statuses = Object.keys(operation.responses);
    expect(statuses).toEqual(
      expect.arrayContaining([...Object.keys(route.responses), "400", "500"]),
    );
  }
});

test("contains the routes that scripts and the specification rely on", () => {
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      "/v1/workflows/validate",
      "/v1/executions/{id}/actions/{actionId}/retry-now",
      "/metadata/action/{name}",
      "/execution/{name}/{id}/resume",
      "/flow/event",
      "/flow/pause",
      "/flow/resume",
    ]),
  );
});

test("every path parameter is declared, every operation has its own id", () => {
  const ids = new Set<string>();
  for (const [path, methods] of Object.entries<Record<string, Operation>>(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const operation of Object.values(methods)) {
      const declared = (operation.parameters ?? []).filter((one) => one.in === "path");
      expect(declared.map((one) => one.name)).toEqual(inPath as string[]);
      expect(declared.every((one) => one.required)).toBe(true);
      expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
      expect(ids.has(operation.operationId)).toBe(false);
      expect(operation.description, operation.operationId).toMatch(/^[A-Z].*\.$/);
      ids.add(operation.operationId);
    }
  }
});

test("operations are named by what they do, under tags that say what they are about", () => {
  const nameOf = (method: string, path: string) => document.paths[path][method].operationId;
  expect(nameOf("post", "/v1/executions")).toBe("startExecution");
  expect(nameOf("get", "/v1/executions/{id}")).toBe("getExecution");
  expect(nameOf("post", "/orchy.v1.WorkerService/Poll")).toBe("pollTasks");
  const described = Object.fromEntries(
    document.tags.map((tag: { name: string; description: string }) => [tag.name, tag.description]),
  );
  const methods = Object.values<Record<string, Operation>>(document.paths).flatMap(Object.values);
  for (const { tags } of methods as Operation[]) {
    expect(tags.map((tag) => described[tag])).toEqual([expect.stringMatching(/\.$/)]);
  }
});

test("describes the worker service as it is called in JSON", async () => {
  const { schemas } = document.components;
  for (const { name } of WorkerService.methods) {
    const { post } = document.paths[`/${WorkerService.typeName}/${name}`];
    expect(post.tags).toEqual(["Workers"]);
    expect(post.responses["503"].description).toContain("unavailable: ");
  }
  const { properties, additionalProperties } = schemas.WorkerPollRequest;
  expect(additionalProperties).toBe(false);
  expect(properties.maxTasks).toMatchObject({ type: "integer", description: "Default 1." });
  expect(properties.results.items).toEqual({ $ref: "#/components/schemas/WorkerTaskResult" });
  const { deadlineMs, parametersJson, parameters } = schemas.WorkerTask.properties;
  expect(deadlineMs).toMatchObject({ type: "string", format: "int64" });
  expect(parametersJson).toMatchObject({ type: "string", contentEncoding: "base64" });
  expect(parameters).toMatchObject({ type: "object" });

  const poll = { actions: ["echo"], waitSeconds: 20, results: [{ token: "none", output: 1 }] };
  const url = `${server.url}/orchy.v1.WorkerService/Poll`;
  const headers = { "content-type": "application/json" };
  const sent = await fetch(url, { method: "POST", headers, body: JSON.stringify(poll) });
  expect(await sent.json()).toEqual({ results: [{ status: "RESULT_STATUS_STALE" }] });
  expect(schemas.WorkerPollResponse.properties.results.items).toEqual({
    $ref: "#/components/schemas/WorkerResultAnswer",
  });
  expect(schemas.WorkerResultStatus.enum).toContain("RESULT_STATUS_STALE");
});

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: object }[];
  readonly responses: Readonly<Record<string, object>>;
}

test("every reference leads somewhere, every schema is an object", () => {
  function walk(value: unknown, at: string): void {
    if (typeof value !== "object" || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (name === "$ref") {
        const path = String(member).split("/").slice(1);
        const target = path.reduce<unknown>(
          (v, k) => (v as Record<string, unknown>)?.[k],
          document,
        );
        expect(target, `${at} refers to ${member}`).toBeDefined();
      }
      if (name === "schema") expect(typeof member).toBe("object");
      walk(member, `${at}/${name}`);
    }
  }
  walk(document, "");
});

test("its patterns need no flags, which a document cannot tell", () => {
  const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)];
  expect(patterns.length).toBeGreaterThan(10);
  for (const [, text] of patterns) expect(text).not.toMatch(/\\\\[pP]\{/);
});

test("says what the checks say", () => {
  const start = document.paths["/v1/executions"].post;
  expect(start.requestBody.content["application/json"].schema).toEqual({
    $ref: "#/components/schemas/Start",
  });
  const body = document.components.schemas.Start;
  expect(body.required).toEqual(["workflow"]);
  expect(body.additionalProperties).toBe(false);
  expect(body.properties.workflow.pattern).toBe("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$");
  expect(body.properties.priority).toMatchObject({ minimum: -100, maximum: 100 });
  const list = document.paths["/v1/executions"].get.parameters as NonNullable<
    Operation["parameters"]
  >;
  const limit = list.find((one) => one.name === "limit");
  expect(limit).toMatchObject({
    in: "query",
    required: false,
    schema: { maximum: 500, default: 50 },
  });
  expect(start.responses["413"].content["application/json"].schema).toEqual({
    $ref: "#/components/schemas/Error",
  });
});

test("wherever a definition is read or saved, its schema is that of the language", () => {
  const { paths, components } = document;
  const schemaOf = (of: { content: Record<string, { schema: object }> }) =>
    of.content["application/json"]!.schema;
  const definition = { $ref: "#/components/schemas/Definition" };
  for (const path of ["/v1/workflows", "/v1/workflows/validate"]) {
    expect(schemaOf(paths[path].post.requestBody)).toEqual(definition);
  }
  expect(components.schemas.Workflow.properties.definition).toEqual(definition);
  for (const path of ["/workflow/{name}", "/metadata/workflow/{name}"]) {
    expect(schemaOf(paths[path].get.responses[200])).toEqual(definition);
  }
  const action = { $ref: "#/components/schemas/Action" };
  const { Action, ActionDefinition, ActionStats } = components.schemas;
  expect(schemaOf(paths["/v1/actions/{name}"].put.responses[200])).toEqual(action);
  expect(ActionStats.properties.definition).toEqual(action);
  // Only where it is saved may the path name it.
  expect(Action).toEqual({ ...ActionDefinition, required: ["name"] });
});

test("definitions are described by the schemas that are served for editors", async () => {
  const { schemas } = document.components;
  for (const [path, name] of [
    ["/schemas/workflow.json", "Definition"],
    ["/schemas/action.json", "ActionDefinition"],
  ] as const) {
    const { status, headers, json } = await call(server, "GET", path);
    expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(json.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(Object.keys(json.properties)).toEqual(Object.keys(schemas[name].properties));
    new Ajv2020({ strict: true, strictRequired: false }).compile(json);
  }
  const { post } = document.paths["/v1/workflows"];
  const reference = { $ref: "#/components/schemas/Definition" };
  expect(post.requestBody.content["application/json"].schema).toEqual(reference);

  // What the document says as a whole, checked as a caller would.
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: "orchy:document", ...document });
  const isDefinition = ajv.getSchema("orchy:document#/components/schemas/Definition")!;
  const action = { id: 1, type: "system", name: "delay", delaySeconds: 1 };
  expect(isDefinition({ name: "w", rootAction: 1, actions: [action] })).toBe(true);
  expect(isDefinition({ name: "w", rootAction: 1, actions: [{ ...action, until: "x" }] })).toBe(
    false,
  );
});
