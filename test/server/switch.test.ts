/** switch over REST: what is refused, with its place, and which routes are taken. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

const choose = (fields: object) => ({
  name: "choose",
  rootAction: "s",
  actions: [{ id: "s", type: "system", name: "switch", ...fields }],
});

const when = (condition: unknown) =>
  choose({ cases: [{ when: condition, route: "a" }], next: { a: [], default: [] } });

const at = "/actions/0/cases/0";
const forms = 'A condition has exactly one of "ref", "all", "any", "not"; it has';

describe("refused", () => {
  test.each([
    [
      when({ ref: "$.input.a", greater: 1 }),
      `${at}/when/greater`,
      'A condition has no operator "greater"; there are eq, ne, gt, gte, lt, lte, in, exists, isNull, startsWith, contains, type.',
    ],
    [
      when({ all: [{ ref: "$.input.a", startWith: "x" }] }),
      `${at}/when/all/0/startWith`,
      'A condition has no operator "startWith"; the nearest is "startsWith".',
    ],
    [when(true), `${at}/when`, "A condition must be an object, not true."],
    [when({ gt: 1 }), `${at}/when`, `${forms} none of them.`],
    [
      when({ ref: "$.input.a", eq: 1, all: [{ ref: "$.input.a", eq: 1 }] }),
      `${at}/when`,
      `${forms} "ref" and "all".`,
    ],
    [
      when({ not: { ref: "$.input.a", eq: 1 }, eq: 2 }),
      `${at}/when`,
      'Beside "not" there can be no "eq".',
    ],
    [
      when({ ref: "$.input.a" }),
      `${at}/when`,
      'A condition needs an operator beside "ref": eq, ne, gt, gte, lt, lte, in, exists, isNull, startsWith, contains, type.',
    ],
    [when({ any: [] }), `${at}/when/any`, "It must list one condition at least, not none."],
    [
      when({ ref: "$.input.a", in: Array(1_000).fill(1) }),
      `${at}/when`,
      "It holds more than 1000 values; a condition is decided in one go.",
    ],
    [
      when({ ref: "total", gt: 1 }),
      `${at}/when/ref`,
      '"total" must be one reference, such as "$.input.status".',
    ],
    [
      when({ ref: "$.input.a", gt: [1] }),
      `${at}/when/gt`,
      "It must be a number, text or a reference to one, not an array.",
    ],
    [
      when({ ref: "$.input.a", gt: "$.sum.output" }),
      `${at}/when/gt`,
      '"$.sum.output" refers to the unknown action "sum"; the nearest is "s"; to write text that begins with $, write $$.',
    ],
    [
      when({ ref: "$.input.a", in: "abc" }),
      `${at}/when/in`,
      'It must be an array or a reference to one, not "abc".',
    ],
    [
      when({ ref: "$.input.a", exists: "yes" }),
      `${at}/when/exists`,
      'It must be true or false, not "yes".',
    ],
    [
      when({ ref: "$.input.a", type: "strings" }),
      `${at}/when/type`,
      'It must be one of "string", "number", "boolean", "null", "array", "object", not "strings"; the nearest is "string".',
    ],
    [choose({ cases: [{ route: "a" }], next: { a: [] } }), at, 'A case needs the field "when".'],
    [choose({ cases: [] }), "/actions/0/cases", "It must list 1 to 100 cases, not 0."],
    [
      choose({ next: { default: [] } }),
      "/actions/0",
      'It must have exactly one of "expression" and "cases"; it has neither.',
    ],
    [
      choose({
        cases: [{ when: { ref: "$.input.a", eq: 1 }, route: "revew" }],
        next: { review: [] },
      }),
      `${at}/route`,
      'There is no route "revew" in next; the nearest is "review".',
    ],
  ])("%j", async (definition, pointer, message) => {
    const { status, body } = await call(server, "POST", "/v1/workflows", definition);
    expect([status, body.error.code]).toEqual([422, "DEFINITION_REFUSED"]);
    expect(body.error.details[0]).toEqual({ pointer, message });
  });

  test("a route that no case has", async () => {
    const definition = choose({
      cases: [{ when: { ref: "$.input.a", eq: 1 }, route: "a" }],
      next: { a: [], b: [], default: [] },
    });
    const message = 'It is never taken: no case has the route "b".';
    const { body } = await call(server, "POST", "/v1/workflows", definition);
    expect(body.error.details).toEqual([{ pointer: "/actions/0/next/b", message }]);
  });
});

/** The route that is taken for this input, or the code of the failure. */
async function routeFor(fields: object, input: unknown): Promise<string> {
  await saveWorkflow(server, choose(fields));
  const ended = await untilEnded(server, await startExecution(server, "choose", input));
  return ended.error?.code ?? ended.data.s.output.route;
}

test("the first case that holds counts", async () => {
  const fields = {
    cases: [
      { when: { ref: "$.input.total", gt: 100 }, route: "review" },
      {
        when: {
          all: [{ ref: "$.input.total", gte: 50 }, { not: { ref: "$.input.vip", eq: true } }],
        },
        route: "check",
      },
    ],
    next: { review: [], check: [] },
  };
  expect(await routeFor(fields, { total: 100.5 })).toBe("review");
  expect(await routeFor(fields, { total: 100 })).toBe("check");
  expect(await routeFor(fields, { total: 100, vip: true })).toBe("NO_MATCHING_ROUTE");
  expect(await routeFor(fields, {})).toBe("NO_MATCHING_ROUTE");
  const withDefault = { ...fields, next: { ...fields.next, default: [] } };
  expect(await routeFor(withDefault, {})).toBe("default");
});

test("strict: a value that is missing fails the switch, unless that is what it asks", async () => {
  const expression = { expression: "$.input.a", next: { default: [] } };
  expect(await routeFor(expression, {})).toBe("default");
  expect(await routeFor({ ...expression, strict: true }, {})).toBe("REFERENCE_NOT_FOUND");
  expect(await routeFor({ ...expression, strict: true }, { a: null })).toBe("default");
  const withDefault = { ...expression, expression: '$.input.a ?? "b"', strict: true };
  expect(await routeFor({ ...withDefault, next: { b: [] } }, {})).toBe("b");
  const cases = (condition: object) => ({
    cases: [{ when: condition, route: "a" }],
    next: { a: [], default: [] },
    strict: true,
  });
  expect(await routeFor(cases({ ref: "$.input.a", gt: 1 }), {})).toBe("REFERENCE_NOT_FOUND");
  expect(await routeFor(cases({ ref: "$.input.a", exists: false }), {})).toBe("a");
});

test("an expression that finds arrays or objects is compared without spaces", async () => {
  await saveWorkflow(server, choose({ expression: "$.input.a", next: { '[1,{"b c":2}]': [] } }));
  const body = '{"workflow":"choose","input":{"a":[ 1,\n {"b c": 2} ]}}';
  const { id } = (await call(server, "POST", "/v1/executions", body)).body;
  expect((await untilEnded(server, id)).data.s.output.route).toBe('[1,{"b c":2}]');
});

test("warnings: a path that finds arrays, and times without an offset", async () => {
  const warnings = async (definition: object) =>
    (await call(server, "POST", "/v1/workflows/validate", definition)).body.warnings;
  const list = { expression: "$.input.lines[*].id", next: { default: [] } };
  expect(await warnings(choose(list))).toEqual([
    {
      pointer: "/actions/0/expression",
      message:
        '"$.input.lines[*].id" always finds an array: its route is the JSON of the array, such as "[1,2]".',
    },
  ]);
  expect(await warnings(when({ ref: "$.input.lines[*].id", eq: [1] }))).toEqual([]);
  expect(await warnings(when({ ref: "$.input.lines[*].id", gt: 1 }))).toEqual([
    {
      pointer: `${at}/when/ref`,
      message:
        '"$.input.lines[*].id" always finds an array, which "gt" says nothing about; "contains" looks into it.',
    },
  ]);
  expect(await warnings(when({ ref: "$.input.at", gt: "2030-01-31T12:00:00" }))).toEqual([
    {
      pointer: `${at}/when/gt`,
      message:
        "It is compared as text, not as a time: times have an offset, as 2030-01-31T12:00:00Z does.",
    },
  ]);
});
