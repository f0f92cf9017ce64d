/** What a script sets on `$` is its output, whatever has run before it, and so is its route. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

const system = (id: string, name: string, more: object) => ({ id, type: "system", name, ...more });

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

test("names of actions that have run are kept and warned of; default is always a route", async () => {
  const expression = `$.total.output.n = 5; $.log.output = 6;
      $.total = $.total.output.n; $.list = [$.log.output]; $.route = "default"`;
  const actions = [
    system("total", "transform", { parameters: { n: 1 }, next: { default: "log" } }),
    system("log", "transform", { parameters: { n: 2 }, next: { default: "script" } }),
    system("script", "javascript", { expression, next: { other: "other" } }),
    system("other", "transform", {}),
  ];
  const definition = { name: "names", rootAction: "total", actions, output: "$.script.output" };
  const saved = await call(server, "POST", "/v1/workflows", definition);
  expect(saved).toMatchObject({
    status: 201,
    body: { warnings: [{ pointer: "/actions/2/expression" }] },
  });
  const ended = await untilEnded(server, await startExecution(server, "names"));
  expect(ended).toMatchObject({ status: "COMPLETED", result: { total: 5, list: [6] } });
  const data = { total: { output: { n: 1 } }, log: { output: { n: 2 } } };
  expect(ended.data).toMatchObject(data);
  const statuses = ended.actions.map(({ status }: { status: string }) => status);
  expect(statuses).toEqual(["COMPLETED", "COMPLETED", "COMPLETED", "SKIPPED"]);
});

test.each([
  ["throw { code: 'NO_STOCK', message: 'sold out' }", "NO_STOCK", "sold out"],
  ["throw Object.assign(new Error('sold out'), { code: 'NO_STOCK' })", "NO_STOCK", "sold out"],
  ["throw { code: 'SCRIPT_LIMIT', message: '' }", "SCRIPT_LIMIT", ""],
  ["throw { code: 'X'.repeat(129), message: 'm' }", "SCRIPT_ERROR", "m"],
  ["throw { code: '', message: 'm' }", "SCRIPT_ERROR", "m"],
  ["throw { code: 7, message: 'm' }", "SCRIPT_ERROR", "m"],
  ["throw { code: 'NO_STOCK' }", "SCRIPT_ERROR", '{"code":"NO_STOCK"}'],
  [
    "throw { get code() { throw 1 }, message: 'm' }",
    "SCRIPT_ERROR",
    "a value that cannot be shown",
  ],
  ["throw 'NO_STOCK'", "SCRIPT_ERROR", "NO_STOCK"],
  ["throw new Error('e')", "SCRIPT_ERROR", "Error: e (line 1, column 16)"],
  ["$.f = () => 1", "SCRIPT_ERROR", 'The output holds a function at "f", which JSON cannot carry.'],
  [
    "$.p = Promise.resolve()",
    "SCRIPT_ERROR",
    'The output holds a promise at "p", which JSON cannot carry.',
  ],
  ["$.b = 1n", "SCRIPT_ERROR", 'The output holds a BigInt at "b", which JSON cannot carry.'],
  [
    "$.c = {}; $.c.c = $.c",
    "SCRIPT_ERROR",
    "The output refers to itself (a cycle), which JSON cannot carry.",
  ],
  [
    "$.route = 'nowhere'",
    "NO_MATCHING_ROUTE",
    'The script chose the route "nowhere", which next does not have.',
  ],
])("%s fails with %s", async (expression, code, message) => {
  const action = system("s", "javascript", { expression, onError: { [code]: [] } });
  await saveWorkflow(server, { name: "failing", rootAction: "s", actions: [action] });
  const ended = await untilEnded(server, await startExecution(server, "failing"));
  expect([ended.status, ended.data.s.output]).toEqual(["COMPLETED", { error: { code, message } }]);
});

test.each([
  ["if($['input'].a == '200') {$['x']='nesX'};", { x: "nesX" }],
  ["({ a: 1, b: undefined })", { a: 1 }],
  ["Object.assign(Object.create(null), { a: 1 })", { a: 1 }],
  ["undefined", {}],
  ["void 0; $.nothing = undefined", {}],
  ["null", { result: null }],
  ["[1]", { result: [1] }],
  ["'text'", { result: "text" }],
  ["new Date(0)", { result: "1970-01-01T00:00:00.000Z" }],
  ["$.input.b = 1; $.execution = {}; 5", { result: 5 }],
  ["$.input = 1", { result: 1 }],
  ["$.x = 1; ({ y: 2 })", { x: 1 }],
  ["$.route = 7", { route: 7 }],
  ["$.route = 'default'", {}],
  ["$.route = 'default'; ({ y: 2 })", { y: 2 }],
  ["({ route: 'nowhere' })", { route: "nowhere" }],
])("%s puts out %j", async (expression, output) => {
  const actions = [system("s", "javascript", { expression })];
  await saveWorkflow(server, { name: "output", rootAction: "s", actions });
  const ended = await untilEnded(server, await startExecution(server, "output", { a: "200" }));
  expect(ended.data.s?.output ?? ended.error).toEqual(output);
});
