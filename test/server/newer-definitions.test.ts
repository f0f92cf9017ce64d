/** What an older server beside this one would not understand is not saved while there may be one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  call,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

let format = 2;
let server: TestServer;
beforeAll(async () => {
  const store = Object.assign(new MemoryStore({ partitions: 2 }), { format: () => format });
  server = await startTestServer({ parts: { store } });
});
afterAll(() => server.remove());

const dear = "$.input.lines[?(@.price > $.input.limit)].sku";
const system = (name: string, fields: object) => [{ id: 1, type: "system", name, ...fields }];
const plain = system("transform", {});
const joined = (join: unknown, more = {}) => [
  ...system("transform", { next: { default: 2 } }),
  { id: 2, type: "system", name: "transform", join, ...more },
];
const cases = { cases: [{ when: { ref: "$.input.a", eq: 1 }, route: "a" }], next: { a: [] } };
const filters = [
  [{ actions: system("transform", { parameters: { dear } }) }, "/actions/0/parameters/dear"],
  [
    { actions: system("switch", { expression: `{${dear}}`, next: { default: [] } }) },
    "/actions/0/expression",
  ],
  [{ actions: plain, output: `Dear: {${dear}}` }, "/output"],
  [
    { actions: plain, onSuccess: { workflow: "next", parameters: [dear] } },
    "/onSuccess/parameters/0",
  ],
] as const;

test.each([
  ...filters.map(([fields, at]) => ["A reference with a filter", at, fields, 3] as const),
  ["A http action", "/actions/0/name", { actions: system("http", { url: "http://a.example" }) }, 3],
  ["A reference with a default", "/output", { actions: plain, output: "{$.input.a ?? 1}" }, 4],
  [
    "A template as event",
    "/actions/0/event/1",
    { actions: system("wait", { event: ["a", "{$.input.b}"] }) },
    4,
  ],
  [
    "A delay with a time zone",
    "/actions/0/timeZone",
    { actions: system("delay", { until: "2030-01-01", timeZone: "Asia/Tokyo" }) },
    4,
  ],
  ['A join "succeeded"', "/actions/1/join", { actions: joined("succeeded") }, 4],
  [
    "A join that cancels the rest",
    "/actions/1/join",
    { actions: joined({ count: "any", cancelRest: true }) },
    4,
  ],
  [
    "A reference to more than an output",
    "/actions/1/parameters",
    { actions: joined("all", { parameters: "$.1.status" }) },
    4,
  ],
  [
    "A reference to $.execution.error",
    "/actions/0/parameters",
    { actions: system("transform", { parameters: "$.execution.error" }) },
    4,
  ],
  [
    "A strict switch",
    "/actions/0/strict",
    {
      actions: system("switch", { expression: "$.input.a", strict: true, next: { default: [] } }),
    },
    4,
  ],
  ["A switch with cases", "/actions/0/cases", { actions: system("switch", cases) }, 4],
])("%s at %s is saved once all servers know it", async (what, pointer, fields, since) => {
  const definition = { name: "newer", rootAction: 1, ...fields };
  const save = (path: string) => call(server, "POST", path, definition);
  format = since - 1;
  const message = expect.stringContaining(`${what} needs newer servers: `);
  const refused = await save("/v1/workflows");
  expect([refused.status, refused.body.error.code]).toEqual([422, "DEFINITION_REFUSED"]);
  expect(refused.body.error.details).toEqual([{ pointer, message }]);
  const legacy = await save("/workflow");
  expect([legacy.status, legacy.body.error]).toEqual([422, message]);
  const checked = await save("/v1/workflows/validate");
  expect([checked.status, checked.body]).toEqual([422, refused.body]);
  format = since;
  expect((await save("/v1/workflows")).status).toBe(201);
});

test("filters find the same in all templates of a workflow", async () => {
  format = 3;
  const definition = {
    name: "dear",
    rootAction: 1,
    actions: [
      { id: 1, type: "system", name: "transform", parameters: { dear }, next: { default: 2 } },
      {
        id: 2,
        type: "system",
        name: "switch",
        next: { '["b","c"]': 3 },
        expression: "$.1.output.dear[?(@ != 'a')]",
      },
      {
        id: 3,
        type: "system",
        name: "transform",
        parameters: "$.input.lines[?@.sku == 'c'].price",
      },
    ],
    output: { text: `Dear: {${dear}}`, price: "$.3.output" },
  };
  expect((await call(server, "POST", "/v1/workflows", definition)).status).toBe(201);
  const lines = [1, 12, 20].map((price, at) => ({ sku: "abc"[at], price }));
  const ended = await untilEnded(
    server,
    await startExecution(server, "dear", { lines, limit: 10 }),
  );
  expect(ended.result).toEqual({ text: 'Dear: ["b","c"]', price: [20] });
});

test("deliver is not saved while an older server may run", async () => {
  const save = () => call(server, "PUT", "/v1/actions/new", { deliver: { to: "sqs:new" } });
  format = 4;
  const { status, body } = await save();
  expect([status, body.error.details[0].pointer]).toEqual([422, "/deliver"]);
  expect(body.error.details[0].message).toStartWith("`deliver` needs newer servers");
  format = 5;
  expect((await save()).status).toBe(200);
});
