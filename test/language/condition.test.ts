/** Conditions: what holds, what does not, and that a second reading of the rules agrees. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkDefinition } from "../../src/language/check/check.ts";
import { Conditions, compileCondition, readsOf } from "../../src/language/data/condition.ts";
import { Work } from "../../src/language/data/work.ts";
import type { Json } from "../../src/model/json.ts";
import { parseExact } from "../../src/model/numbers.ts";
import { viewOf } from "../support/view.ts";

const input = `{
  "total": 120.50, "big": 9007199254740993, "name": "Ann", "none": null, "yes": true,
  "tags": ["a", 1.0, null, {"x": [1], "y": 2}], "object": {"a": 1, "b": [2]}, "empty": [],
  "text": "$.input.name", "early": "2030-01-31T12:00:00.5+01:00", "late": "2030-01-31T11:00:00.50001Z",
  "local": "2030-01-31T12:00:00", "emoji": "😀", "wide": "\\uffee"
}`;
const view = viewOf({ input });

/** Read as definitions are. */
function decide(text: string): { holds: boolean; missing: string | undefined } {
  const condition = compileCondition(parseExact(text) as Json);
  const conditions = new Conditions(view, new Work(), readsOf([condition]).indexed);
  return { holds: conditions.holds(condition), missing: conditions.missing };
}

const on = (name: string, tests: string) => `{"ref":"$.input.${name}",${tests}}`;

describe("a test", () => {
  test.each([
    ["total", '"gt":100', true],
    ["total", '"gte":120.5,"lt":121', true],
    ["total", '"gte":120.5,"lt":120.5', false],
    ["total", '"eq":1205e-1', true],
    ["total", '"eq":"120.50"', false],
    ["total", '"ne":"120.50"', true],
    ["total", '"gt":"100"', false],
    ["total", '"lt":"$.input.big"', true],
    ["big", '"eq":9007199254740992', false],
    ["big", '"gt":9007199254740992', true],
    ["big", '"in":[1,9007199254740993.0]', true],
    ["name", '"in":["Bo","$.input.name"]', true],
    ["name", '"in":["Bo","$.input.nope"]', false],
    ["nope", '"in":[null,"$.input.nope"]', false],
    ["none", '"in":[1,"$.input.nope"]', false],
    ["none", '"in":[null]', true],
    ["yes", '"in":"$.input.tags"', false],
    ["none", '"in":"$.input.tags"', true],
    ["none", '"in":"$.input.name"', false],
    ["none", '"in":"$.input.nope ?? [null]"', true],
    ["name", '"in":[]', false],
    ["name", '"gt":"Amy"', true],
    ["name", '"startsWith":"An"', true],
    ["name", '"startsWith":"an"', false],
    ["name", '"startsWith":"$.input.name"', true],
    ["total", '"startsWith":"1"', false],
    ["name", '"contains":"nn"', true],
    ["name", '"contains":1', false],
    ["tags", '"contains":1', true],
    ["tags", '"contains":{"y":2.0,"x":[1]}', true],
    ["tags", '"contains":null', true],
    ["tags", '"contains":"b"', false],
    ["object", '"contains":"a"', false],
    ["object", '"eq":{"b":[2],"a":1.0}', true],
    ["object", '"eq":{"b":["$.input.nope"],"a":1}', false],
    ["object", '"type":"object"', true],
    ["tags", '"type":"array"', true],
    ["name", '"type":"string"', true],
    ["yes", '"type":"boolean"', true],
    ["none", '"type":"null"', true],
    ["big", '"type":"number"', true],
    ["big", '"type":"string"', false],
    ["none", '"exists":true', true],
    ["none", '"exists":false', false],
    ["nope", '"exists":false', true],
    ["nope", '"exists":true', false],
    ["none", '"isNull":true', true],
    ["none", '"isNull":false', false],
    ["name", '"isNull":false', true],
    ["nope", '"isNull":true', false],
    ["nope", '"isNull":false', false],
    ["nope", '"eq":null', false],
    ["nope", '"ne":null', true],
    ["nope", '"ne":"$.input.nope"', true],
    ["nope", '"lt":1', false],
    ["name", '"eq":"$.input.nope"', false],
    ["name", '"ne":"$.input.nope"', true],
    ["nope ?? 5", '"eq":5', true],
    ["none ?? $.input.total", '"gt":100', true],
    ["tags[*].y", '"contains":2', true],
    // A literal that begins like a reference.
    ["text", '"eq":"$$.input.name"', true],
    ["text", '"eq":"$.input.name"', false],
    ["name", '"eq":"{$.input.name}"', true],
    // By code point, where UTF-16 has another order.
    ["wide", '"lt":"$.input.emoji"', true],
    ["emoji", '"gte":"$.input.wide"', true],
    // Times, by their moments, if both have an offset.
    ["early", '"lt":"$.input.late"', true],
    ["early", '"lte":"2030-01-31T11:00:00.500Z"', true],
    ["early", '"gte":"2030-01-31T06:00:00.5-05:00"', true],
    ["early", '"gt":"2030-01-31T06:00:00.5-05:00"', false],
    ["early", '"eq":"2030-01-31T11:00:00.500Z"', false],
    ["early", '"gt":"2030-01-31T11:30:00"', true],
    ["local", '"lt":"2030-01-31T12:00:00Z"', true],
    ["early", '"lt":"2030-02-30T00:00:00Z"', true],
  ])("%s %s is %p", (name, tests, expected) => {
    expect(decide(on(name, tests)).holds).toBe(expected);
  });
});

test("all, any and not of others", () => {
  const [yes, no] = [on("yes", '"eq":true'), on("yes", '"eq":false')];
  expect(decide(`{"all":[${yes},${yes}]}`).holds).toBe(true);
  expect(decide(`{"all":[${yes},${no}]}`).holds).toBe(false);
  expect(decide(`{"any":[${no},${yes}]}`).holds).toBe(true);
  expect(decide(`{"any":[${no},{"not":${yes}}]}`).holds).toBe(false);
  expect(decide(`{"not":${on("nope", '"gt":1')}}`).holds).toBe(true);
});

test("missing: what was read and has no value, except where that is asked", () => {
  expect(decide(on("nope", '"gt":1')).missing).toBe("$.input.nope");
  expect(decide(on("total", '"gt":"$.input.nope"')).missing).toBe("$.input.nope");
  expect(decide(on("total", '"in":[1,"$.input.nope"]')).missing).toBe("$.input.nope");
  expect(decide(on("total", '"eq":["$.input.nope"]')).missing).toBe("$.input.nope");
  expect(decide(on("nope", '"exists":false')).missing).toBeUndefined();
  expect(decide(on("none", '"isNull":true')).missing).toBeUndefined();
  const second = on("nope", '"gt":1');
  expect(decide(`{"any":[${on("yes", '"eq":true')},${second}]}`).missing).toBeUndefined();
  expect(decide(`{"all":[${on("yes", '"eq":false')},${second}]}`).missing).toBeUndefined();
});

test("many tests of a large text read it once, and what is too much is bounded", () => {
  const large = viewOf({ input: JSON.stringify({ pad: "x".repeat(2 * 1024 * 1024), n: 5 }) });
  const run = (count: number, tests: object) => {
    const condition = compileCondition({
      all: Array.from({ length: count }, () => ({ ref: "$.input.n", ...tests })),
    });
    return new Conditions(large, new Work(), readsOf([condition]).indexed).holds(condition);
  };
  expect(run(200, { gt: 4 })).toBe(true);
  expect(() => run(200, { ne: "$.input.pad" })).toThrow("reads more of the data");
  expect(() => run(1, { ne: { a: "$.input.pad", b: "$.input.pad" } })).toThrow("3 MiB");
});

/** The text of the language, written down a second time over parsed values. */
function naive(condition: Record<string, unknown>, data: Record<string, unknown>): boolean {
  if (condition.all) return (condition.all as never[]).every((part) => naive(part, data));
  if (condition.any) return (condition.any as never[]).some((part) => naive(part, data));
  if (condition.not) return !naive(condition.not as never, data);
  const { ref, ...tests } = condition;
  const look = (value: unknown) =>
    typeof value === "string" && value.startsWith("$.input.") ? data[value.slice(8)] : value;
  const value = look(ref);
  return Object.entries(tests).every(([operator, given]) => {
    const operand = look(given);
    const ordered = typeof value === typeof operand && ["number", "string"].includes(typeof value);
    const [one, other] = [value, operand] as [number, number];
    switch (operator) {
      case "exists":
        return (value !== undefined) === operand;
      case "isNull":
        return value !== undefined && (value === null) === operand;
      case "eq":
        return value !== undefined && Bun.deepEquals(value, operand);
      case "ne":
        return value === undefined || !Bun.deepEquals(value, operand);
      case "gt":
        return ordered && one > other;
      case "gte":
        return ordered && one >= other;
      case "lt":
        return ordered && one < other;
      case "lte":
        return ordered && one <= other;
      case "in":
        return (
          value !== undefined &&
          Array.isArray(operand) &&
          operand.some((element) => Bun.deepEquals(look(element), value))
        );
      case "startsWith":
        return (
          typeof value === "string" && typeof operand === "string" && value.startsWith(operand)
        );
      case "contains":
        if (Array.isArray(value))
          return operand !== undefined && value.some((one) => Bun.deepEquals(one, operand));
        return typeof value === "string" && typeof operand === "string" && value.includes(operand);
      default:
        return value === undefined ? false : typeName(value) === operand;
    }
  });
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

test("random conditions agree with the naive reading, and every one of them is saved", () => {
  const plain = fc.constantFrom<Json>(
    0,
    1,
    2.5,
    -1,
    "",
    "a",
    "ab",
    "b",
    true,
    false,
    null,
    [],
    [1, "a"],
    { a: 1 },
  );
  const name = fc.constantFrom("a", "b", "c", "nope");
  const ref = name.map((key) => `$.input.${key}`);
  const order = fc.oneof(fc.constantFrom<Json>(0, 1, 2.5, "a", "b"), ref);
  const operand: Record<string, fc.Arbitrary<Json>> = {
    eq: fc.oneof(plain, ref),
    ne: fc.oneof(plain, ref),
    gt: order,
    gte: order,
    lt: order,
    lte: order,
    in: fc.oneof(fc.array(fc.oneof(plain, ref), { maxLength: 3 }), ref),
    exists: fc.boolean(),
    isNull: fc.boolean(),
    startsWith: fc.oneof(fc.constantFrom("", "a", "ab"), ref),
    contains: fc.oneof(plain, ref),
    type: fc.constantFrom("string", "number", "boolean", "null", "array", "object"),
  };
  const one = fc
    .constantFrom(...Object.keys(operand))
    .chain((operator) => operand[operator]!.map((value) => ({ [operator]: value })));
  const single = fc
    .tuple(ref, fc.array(one, { minLength: 1, maxLength: 2 }))
    .map(([of, tests]) => Object.assign({ ref: of }, ...tests));
  const { condition } = fc.letrec((tie) => ({
    condition: fc.oneof(
      { depthSize: "small" },
      single,
      fc.array(tie("condition"), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
      fc.array(tie("condition"), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
      tie("condition").map((not) => ({ not })),
    ),
  }));
  const seen = { true: 0, false: 0 };
  fc.assert(
    fc.property(condition, fc.record({ a: plain, b: plain, c: plain }), (raw, data) => {
      const compiled = compileCondition(raw as Json);
      const conditions = new Conditions(
        viewOf({ input: JSON.stringify(data) }),
        new Work(),
        readsOf([compiled]).indexed,
      );
      const holds = conditions.holds(compiled);
      seen[`${holds}`] += 1;
      expect(holds).toBe(naive(raw as never, data));
      const action = {
        id: 1,
        type: "system",
        name: "switch",
        cases: [{ when: raw, route: "default" }],
        next: { default: [] },
      };
      const checked = checkDefinition(
        { name: "w", rootAction: 1, actions: [action] },
        { lenient: false },
      );
      expect(checked.problems).toEqual([]);
      expect(checked.definition?.actions[0]?.cases).toEqual(action.cases as never);
    }),
    { numRuns: 2_000 },
  );
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(300);
});
