import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../src/base/limits.ts";
import { begin } from "../../src/engine/decide.ts";
import { parseReference, resolveReference } from "../../src/language/data/reference.ts";
import { compileTemplate, resolveTemplate } from "../../src/language/data/template.ts";
import { TooLarge, Work } from "../../src/language/data/work.ts";
import { compilePlan } from "../../src/language/plan.ts";
import type { Decision } from "../../src/model/decision.ts";
import { currentFormat } from "../../src/model/format.ts";
import { viewOf } from "../support/view.ts";
import { executionId, World } from "../support/world.ts";

// Largest payloads, decided on twice each: seconds on a machine with other things to do.
setDefaultTimeout(120_000);

const payloadChars = limits.payloadBytesMax - 100;

/** Texts of any size, from what is common to what is made to be slow. */
const shapes: Readonly<Record<string, (chars: number) => string>> = {
  "members with long keys": (chars) => object(chars, (at) => `"user${at}-${"k".repeat(10)}":1`),
  "members with escaped keys": (chars) => object(chars, (at) => `"\\u0075${at}":1`),
  "one key again and again": (chars) => object(chars, () => '"a":{"a":1}'),
  "small numbers": (chars) => array(chars, () => "0"),
  "empty arrays": (chars) => array(chars, () => "[]"),
  objects: (chars) => array(chars, (at) => `{"a":{"b":${at}}}`),
  quotes: (chars) => array(chars, () => JSON.stringify('"\\'.repeat(20))),
  "one long string": (chars) => JSON.stringify("x".repeat(chars - 2)),
  "deep inside": (chars) =>
    `${'{"a":'.repeat(60)}${array(chars - 360, () => "[1]")}${"}".repeat(60)}`,
};

function array(chars: number, item: (at: number) => string): string {
  return `[${items(chars, item)}]`;
}

function object(chars: number, item: (at: number) => string): string {
  return `{${items(chars, item)}}`;
}

function items(chars: number, item: (at: number) => string): string {
  const parts: string[] = [];
  for (let length = 0; length < chars - 40; ) {
    const part = item(parts.length);
    parts.push(part);
    length += part.length + 1;
  }
  return parts.join(",");
}

const paths = [
  "$.input.user77",
  "$.input.byUser.user77.a",
  `$.input${".a".repeat(60)}`,
  "$.input[7].a.b",
  "$.input[*]",
  "$.input[*].a",
  "$.input['user1','user2','user3','user4','user5']",
  "$.input[0,1,2,3,4,5]",
  "$.input[::2]",
  "$.input..b",
  "$.input[?@.a == 1 && @.b]",
  "$.input[?@ > 5 || @[0]]",
  "$.input[?@ == $.input[0]]",
  "$.input..[?@..a]",
];

/** Steps that it takes, whether or not one action may take them. */
function stepsOf(text: string, path: string): number {
  const work = new Work(Number.POSITIVE_INFINITY);
  try {
    resolveReference(parseReference(path), viewOf({ input: text }), work);
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
  }
  return work.spent;
}

describe("reading", () => {
  test("takes steps that grow with the text, whatever is in it and whatever is looked for", () => {
    const shape = fc.constantFrom(...Object.keys(shapes));
    fc.assert(
      fc.property(shape, fc.constantFrom(...paths), (name, path) => {
        const small = shapes[name]!(8_000);
        const large = shapes[name]!(64 * 8_000);
        const growth = large.length / small.length;
        expect(stepsOf(large, path)).toBeLessThan(1.3 * growth * stepsOf(small, path));
      }),
      { numRuns: 40 },
    );
  });

  // What is not counted shows in the time only. A text of 64 times the size took 4,096 times as long.
  test.each(["$.input.user77", "$.input[?@ > 0 && @ != 'a']"])(
    "of %s takes time that grows with the text",
    (path) => {
      const text = (chars: number) => shapes["members with long keys"]!(chars);
      const reference = parseReference(path);
      const timeOf = (input: string) => {
        const startedAt = performance.now();
        resolveReference(reference, viewOf({ input }));
        return performance.now() - startedAt;
      };
      const small = text(40_000);
      const large = text(64 * 40_000);
      const times = Array.from({ length: 8 }, () => [timeOf(small), timeOf(large)] as const);
      const fastest = (at: 0 | 1) => Math.min(...times.map((pair) => pair[at]));
      expect(fastest(1) / fastest(0)).toBeLessThan(64 * 12);
    },
  );

  test.each(Object.keys(shapes))("of a largest payload of %s once always fits", (name) => {
    const view = viewOf({ input: shapes[name]!(payloadChars) });
    for (const path of ["$.input", "$.input.user77", `$.input${".a".repeat(60)}`, "$.input[*]"]) {
      expect(() => resolveReference(parseReference(path), view)).not.toThrow();
    }
  });

  test("costs a template with many references what it costs one with four", () => {
    const text = shapes["members with long keys"]!(400_000);
    const stepsOfSlots = (count: number) => {
      const work = new Work();
      const template = Array.from({ length: count }, (_, at) => `$.input.user${at}`);
      resolveTemplate(compileTemplate(template), viewOf({ input: text }), { work });
      return work.spent;
    };
    expect(stepsOfSlots(2_000)).toBeLessThan(1.5 * stepsOfSlots(4));
  });
});

describe("an action that reads too much", () => {
  const nested = array(payloadChars, () => "[[]]");
  const manyOutputs = Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [`o${at}`, shapes.objects!(payloadChars)]),
  );
  const onlyOne = viewOf({ input: nested });
  const doubled = `$.input${"[0,'0']".repeat(24)}`;

  test.each([
    ["a path", "$.o11.output.a", manyOutputs, Object.keys(manyOutputs)],
    ["a union", doubled, {}, []],
    ["..", "$.input..x", {}, []],
    ["all of $", "$..x", manyOutputs, []],
    ["a filter", "$.input[?@[0] && @[1]]", {}, []],
    ["a filter in ..", "$.input..[?@..a]", {}, []],
    ["a filter that compares lists", "$.input[?@ == @]", {}, []],
    ["a path in a filter", "$.input[?@ == $.o1.output[0]]", manyOutputs, []],
  ])("is refused: %s", (_, path, outputs, before) => {
    const deep = viewOf({ input: `${"[".repeat(100)}${"]".repeat(100)}`, outputs });
    const view = path === doubled ? deep : { ...onlyOne, ...viewOf({ input: nested, outputs }) };
    const template = [...before.map((key) => `$.${key}.output.a`), path];
    const resolve = () => resolveTemplate(compileTemplate(template), view);
    expect(resolve).toThrow(TooLarge);
    expect(resolve).toThrow(`at most ${limits.actionWorkMax} steps are allowed`);
  });

  const expensive = `$.input..x`;
  const input = JSON.parse(nested);
  const handled = { onError: { TOO_LARGE: 2 } };
  const last = { id: 2, type: "system", name: "transform", parameters: { e: "$.1.output.error" } };

  test.each([
    { type: "system", name: "transform", parameters: { x: expensive } },
    { type: "system", name: "switch", expression: expensive, next: { default: 2 } },
    { type: "system", name: "delay", delaySeconds: expensive },
    { type: "system", name: "wait", event: "e", timeoutSeconds: expensive },
    { type: "user", name: "work", parameters: { x: expensive } },
  ])("fails with TOO_LARGE and names the path: $name", (action) => {
    const actions = [{ id: 1, ...action, ...handled }, last];
    const world = new World({ name: "w", rootAction: 1, actions } as never, { input });
    expect(world.status).toBe("COMPLETED");
    const message = expect.stringContaining('"$.input..x" reads more of the data');
    expect(world.output("2")).toEqual({ e: { code: "TOO_LARGE", message } });
  });

  test("as the output of a workflow or the input of a follow-up says so, too", () => {
    const actions = [{ id: 1, type: "system", name: "transform" }];
    const base = { name: "w", rootAction: 1, actions };
    const failed = new World({ ...base, output: { x: expensive } } as never, { input });
    expect(failed.execution.state.failure?.code).toBe("TOO_LARGE");
    const followUp = { workflow: "next", parameters: { x: expensive } };
    const world = new World({ ...base, onSuccess: followUp } as never, { input });
    expect(world.status).toBe("COMPLETED");
    expect(world.messages).toEqual([]);
    expect(world.execution.state.followUpFailure).toContain("reads more of the data");
  });
});

test("a decision that has read much is cut, and a timer that is due goes on", () => {
  const input = shapes["members with long keys"]!(limits.decisionWorkMax / 4.5);
  const actions = Array.from({ length: 9 }, (_, at) => ({
    id: at,
    type: "system",
    name: "switch",
    expression: "$.input.user77",
    next: { default: at + 1 },
  }));
  const end = { id: 9, type: "system", name: "transform", parameters: { last: "$.input.user8" } };
  const definition = {
    name: "w",
    rootAction: 0,
    actions: [...actions, end],
    output: { result: "$.input.user9", too: "$.input.user10" },
  };
  const first = begin({
    plan: compilePlan(definition as never, 1),
    now: 1_000,
    format: currentFormat,
    id: executionId,
    input,
    seed: 1,
    registered: () => undefined,
  }) as Decision;
  expect(first.records.filter((record) => record?.status === "COMPLETED").length).toBe(5);
  expect(first.more).toBe(true);
  expect(first.effects.timers).toEqual([{ id: first.state.continueTimer!, at: 1_000 }]);
  const world = new World(definition as never, { input: JSON.parse(input) });
  expect(world.status).toBe("COMPLETED");
});
