/** What is wrong with actions that have children, or act on others, as a save reports it over REST. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { call, startTestServer, type TestServer } from "../support/orchy.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

const body = (actions: readonly object[], rest: object = {}) => ({
  rootAction: "x",
  actions,
  ...rest,
});
const step = (rest: object = {}) => ({ id: "x", type: "system", name: "transform", ...rest });
const holds = (definition: unknown) => ({ name: "workflow", definition });

/** The definition of an action that comes after `first`. */
const after = (action: object) => ({
  name: "bad",
  rootAction: "first",
  actions: [
    { id: "first", type: "system", name: "transform", next: { default: "it" } },
    { id: "it", type: "system", ...action },
  ],
});

function nestedTimes(times: number): object {
  let inner: object = body([step()]);
  for (let i = 0; i < times; i++) inner = body([step(holds(inner))]);
  return inner;
}

test.each([
  [
    "neither target",
    { name: "workflow" },
    "",
    'It must have exactly one of "workflow" and "definition"; it has neither.',
  ],
  [
    "both targets",
    { name: "workflow", workflow: "w", definition: body([step()]) },
    "",
    'It must have exactly one of "workflow" and "definition"; it has both.',
  ],
  [
    "a version of nothing",
    { ...holds(body([step()])), version: 2 },
    "/version",
    'It is the version of a "workflow", which the action does not have.',
  ],
  [
    "a misspelt field of a body",
    holds(body([step()], { outputs: "$.input" })),
    "/definition/outputs",
    'An inline definition has no field "outputs"; the nearest is "output".',
  ],
  [
    "an action of the parent in a body",
    holds(body([step({ parameters: ["$.first.output"] })])),
    "/definition/actions/0/parameters/0",
    '"$.first.output" refers to the unknown action "first"; an inline definition reads its own ' +
      "actions and $.input, its parameters.",
  ],
  [
    "a root that a body does not have",
    holds({ rootAction: "first", actions: [step()] }),
    "/definition/rootAction",
    'There is no action with the id "first".',
  ],
  [
    "a follow-up of a body",
    holds(body([step()], { onSuccess: "DELETE" })),
    "/definition/onSuccess",
    'An inline definition has no field "onSuccess".',
  ],
  [
    "a body that is none",
    holds([]),
    "/definition",
    "An inline definition must be an object, not an array.",
  ],
  [
    "bodies that nest too deep",
    holds(nestedTimes(20)),
    `/definition${"/actions/0/definition".repeat(20)}`,
    "Inline definitions nest at most 20 deep.",
  ],
  [
    "a workflow by a template",
    { name: "workflow", workflow: "$.input.name" },
    "/workflow",
    'It must be a name of 1 to 128 characters, ASCII letters, digits, ".", "_" and "-", that begin ' +
      'with a letter or a digit, not "$.input.name".',
  ],
  [
    "a text for detach",
    { name: "workflow", workflow: "w", detach: "yes" },
    "/detach",
    'It must be true or false, not "yes".',
  ],
  [
    "a loop without an end",
    { name: "loop", workflow: "w", while: "true" },
    "",
    'A loop action needs the field "maxIterations".',
  ],
  [
    "a loop of no rounds",
    { name: "loop", workflow: "w", while: "true", maxIterations: 0 },
    "/maxIterations",
    `It must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}, not 0.`,
  ],
  [
    "a condition with an unknown operator",
    { name: "loop", workflow: "w", maxIterations: 1, while: { ref: "$.last", equals: 1 } },
    "/while/equals",
    'A condition has no operator "equals"; there are eq, ne, gt, gte, lt, lte, in, exists, isNull, ' +
      "startsWith, contains, type.",
  ],
  [
    "a script that does not parse",
    { name: "loop", workflow: "w", maxIterations: 1, while: "$.last >" },
    "/while",
    "SyntaxError: unexpected token in expression: '' (line 1, column 9)",
  ],
  [
    "rounds that see what has not ended before",
    { name: "loop", workflow: "w", maxIterations: 1, while: "1", parameters: "$.it.output" },
    "/parameters",
    '"$.it.output" must name an action that comes before this one: all its rounds must find the same.',
  ],
  [
    "a signal to nobody",
    { name: "signal", event: "go" },
    "",
    'It must have exactly one of "executionId" and "correlationId"; it has neither.',
  ],
  [
    "a signal to a number",
    { name: "signal", event: "go", executionId: 7 },
    "/executionId",
    "It must be text, or a template for it, not 7.",
  ],
  [
    "an end that is none",
    { name: "terminate", status: "CANCELLED" },
    "/status",
    'It must be one of "COMPLETED", "FAILED", not "CANCELLED".',
  ],
  [
    "what follows on an end",
    { name: "terminate", status: "FAILED", next: { default: [] } },
    "/next/default",
    "It is never taken: a terminate action ends the execution.",
  ],
])("%s", async (_what, action, pointer, message) => {
  const { status, body: answer } = await call(server, "POST", "/v1/workflows", after(action));
  expect(status).toBe(422);
  expect(answer.error.details).toContainEqual({ pointer: `/actions/1${pointer}`, message });
});

test("what only the other end uses is warned about", async () => {
  const action = { name: "terminate", status: "FAILED", output: 1 };
  const { status, body: answer } = await call(server, "POST", "/v1/workflows", after(action));
  expect([status, answer.warnings]).toEqual([
    201,
    [
      {
        pointer: "/actions/1/output",
        message: 'It is not used: an execution that is FAILED has no "output".',
      },
    ],
  ]);
});
