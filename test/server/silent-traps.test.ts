/** What is saved and does something else than it seems to say: there is a warning, over REST. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

const one = (name: string, fields: object = {}) => ({
  name: "trap",
  rootAction: "a",
  actions: [{ id: "a", type: "system", name, ...fields }],
});
const user = (fields: object) => ({
  name: "trap",
  rootAction: "a",
  actions: [{ id: "a", type: "user", name: "work", ...fields }],
});
const form = "a reference in a text is written {$.input.name}";
const caught = 'for all errors write "default"';

test.each([
  [
    one("transform", { parameters: { text: "Hi ${input.name}!" } }),
    "/actions/0/parameters/text",
    `"\${input.name}" is passed on as it is: ${form}.`,
  ],
  [
    one("transform", { parameters: ["Hi {{name}}!"] }),
    "/actions/0/parameters/0",
    `"{{name}}" is passed on as it is: ${form}.`,
  ],
  [
    { ...one("transform"), output: "Hi {{$.input.name}}!" },
    "/output",
    `"{{$.input.name}}" keeps one pair of its braces: ${form}.`,
  ],
  [
    one("javascript", { expression: "1", onError: { "*": [] } }),
    "/actions/0/onError/*",
    `"*" is a code like any other; ${caught}.`,
  ],
  [
    one("transform", { onError: { "States.ALL": [] } }),
    "/actions/0/onError/States.ALL",
    `"States.ALL" is a code like any other; ${caught}.`,
  ],
  [
    user({ retry: { nonRetryable: ["*"] } }),
    "/actions/0/retry/nonRetryable/0",
    '"*" is a code like any other; each code that ends the retries is listed.',
  ],
  [
    one("wait", { event: "go", timeoutSeconds: 1, onError: { TIMEOUT: [] } }),
    "/actions/0/onError/TIMEOUT",
    "It is never reached: a wait action fails with EVENT_INVALID, REFERENCE_NOT_FOUND, " +
      "INVALID_VALUE, TOO_LARGE, JOIN_NOT_MET, or a code given by hand. When its time is over it " +
      'takes the route "timeout" of next.',
  ],
  [
    one("delay", { delaySeconds: 1, onError: { NO_MATCHING_ROUTE: [] } }),
    "/actions/0/onError/NO_MATCHING_ROUTE",
    "It is never reached: a delay action fails with REFERENCE_NOT_FOUND, INVALID_VALUE, " +
      "TOO_LARGE, JOIN_NOT_MET, or a code given by hand.",
  ],
  [
    one("switch", { expression: "$.input.list[*]", next: { default: [] } }),
    "/actions/0/expression",
    '"$.input.list[*]" always finds an array: its route is the JSON of the array, such as "[1,2]".',
  ],
  [
    one("map", { action: "work", items: "$.input.orders[*].lines" }),
    "/actions/0/items",
    '"$.input.orders[*].lines" always finds an array, which is empty where there is nothing: such a ' +
      "map completes at once.",
  ],
  [
    one("map", { action: "work", items: "$.input.list ?? $.input.other ?? {}" }),
    "/actions/0/items",
    "The default {} is no array: with it the map fails with ITEMS_INVALID.",
  ],
  [
    { ...one("transform"), onFailure: { workflow: "nobody" } },
    "/onFailure/workflow",
    "There is no workflow nobody. It has to be saved before it is to run.",
  ],
  [
    one("workflow", { workflow: "nobody" }),
    "/actions/0/workflow",
    "There is no workflow nobody. It has to be saved before it is to run.",
  ],
])("%j", async (definition, pointer, message) => {
  const { status, body } = await call(server, "POST", "/v1/workflows/validate", definition);
  expect(status).toBe(200);
  const warnings = body.warnings.filter((found: { pointer: string }) => found.pointer === pointer);
  expect(warnings).toEqual([{ pointer, message }]);
});

test.each([
  one("transform", { parameters: ["$${a}", "{a: {b: 1}}", "$5 {off}", "{ {a} }", "{$.input.a}}"] }),
  one("switch", {
    expression: "$.input.a",
    next: { default: [] },
    onError: { NO_MATCHING_ROUTE: [] },
  }),
  one("javascript", { expression: "`${1}{{}}`", onError: { SOLD_OUT: [], default: [] } }),
  one("map", { workflow: "trap", items: "$.input.list ?? []" }),
  one("delay", { delaySeconds: "$.input.a", onError: { INVALID_VALUE: [], TOO_LARGE: [] } }),
])("no trap: %j", async (definition) => {
  const { body } = await call(server, "POST", "/v1/workflows/validate", definition);
  expect(body).toEqual({ valid: true, warnings: [] });
});

test.each([
  [{ StartAt: "A", States: { A: { Type: "Pass" } } }, 'Step Functions, as "StartAt" and "States"'],
  [{ name: "w", tasks: [{ name: "t", taskReferenceName: "t_ref" }] }, 'Conductor, as "tasks"'],
  [{ name: "w", schemaVersion: 2, tasks: [] }, 'Conductor, as "tasks" and "schemaVersion"'],
  [
    { id: "w", specVersion: "0.8", states: [] },
    'Serverless Workflow, as "specVersion" and "states"',
  ],
  [{ document: { dsl: "1.0.0" }, do: [] }, 'Serverless Workflow, as "document" and "do"'],
])("a definition of another system is called by its name: %j", async (definition, named) => {
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  const message =
    `This is a definition of ${named} shows; here a workflow has "rootAction" and "actions". ` +
    'Its tasks or states become actions, their transitions the routes in "next".';
  expect([status, body.error.details]).toEqual([422, [{ pointer: "", message }]]);
});

test.each([
  [
    one("transform", { parameters: ["$.item"] }),
    "/actions/0/parameters/0",
    '"$.item" exists only in the templates of a map action; to write text that begins with $, ' +
      "write $$.",
  ],
  [
    one("delay", { delaySeconds: "$.iteration" }),
    "/actions/0/delaySeconds",
    '"$.iteration" exists only in the templates of a loop action; to write text that begins with ' +
      "$, write $$.",
  ],
  [
    one("map", { action: "work", items: "$.input", tolerate: "100.5%" }),
    "/actions/0/tolerate",
    'It must be a number or a share such as "20%", not "100.5%".',
  ],
  [
    one("signal", { executionId: "$.input", event: "default" }),
    "/actions/0/event",
    'The event name "default" is reserved for routes.',
  ],
])("refused: %j", async (definition, pointer, message) => {
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  expect([status, body.error.details]).toEqual([422, [{ pointer, message }]]);
});

test.each(["default", "timeout"])("a signal that no wait can take: %s", async (event) => {
  const action = { id: "a", type: "system", name: "wait", event: "{$.input.event}" };
  await saveWorkflow(server, { ...one("wait"), name: "waits", actions: [action] });
  const id = await startExecution(server, "waits", { event: "go" });
  const { body } = await call(server, "POST", `/v1/executions/${id}/signal`, { event });
  const message = `No action can wait for "${event}": the name is reserved for routes.`;
  expect(body.warnings).toEqual([{ pointer: "/event", message }]);
});
