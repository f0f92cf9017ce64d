import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../src/base/limits.ts";
import {
  compileTemplate,
  resolveTemplate,
  TemplateSyntaxError,
} from "../../src/language/data/template.ts";
import type { Json } from "../../src/model/json.ts";
import { viewOf } from "../support/view.ts";

const view = viewOf({
  input:
    '{"name":"Bo \\"B\\"","n":12345678901234567890,"list":[1, {"a":"x"}],"none":null,"text":"{$.input.name}"}',
  outputs: {
    "1": '{"key1":"200"}',
    "2": '{"output":{"user":{"discount":15}}}',
    price: '{"total":1.50}',
  },
});

function resolve(template: Json): string {
  const resolved = resolveTemplate(compileTemplate(template), view);
  if (!resolved.ok) throw new Error(`missing: ${resolved.missing}`);
  return resolved.text;
}

describe("strings", () => {
  test.each([
    // One reference, or one in braces, keeps the type.
    ["$.input.list", '[1, {"a":"x"}]'],
    ["{$.input.n}", "12345678901234567890"],
    ["$1.output.key1", '"200"'],
    ["{$price.output.total}", "1.50"],
    ["$.input.none", "null"],
    ["$.input.missing", "null"],
    ["{$.input.missing}", "null"],
    ["$.input.missing[*]", "[]"],
    // Longer strings: text as it is, other values as JSON, missing as nothing.
    ["Hi {$.input.name}!", '"Hi Bo \\"B\\"!"'],
    ["{$.input.n}{$price.output.total}", '"123456789012345678901.50"'],
    ["list {$.input.list}", '"list [1, {\\"a\\":\\"x\\"}]"'],
    ["<{$.input.missing}|{$.input.none}>", '"<|null>"'],
    ["all {$.input.list[*].a}", '"all [\\"x\\"]"'],
    ["{$['input']['}']} and {$.input[\"name\"]}", '" and Bo \\"B\\""'],
    // Every other brace is literal.
    ["{{$1.output.key1}}", '"{200}"'],
    ["{} {a} { $.input.n} }{", '"{} {a} { $.input.n} }{"'],
    ["see $.input.n", '"see $.input.n"'],
    // Not references.
    ["$1.50", '"$1.50"'],
    ["$100", '"$100"'],
    ["$5 off", '"$5 off"'],
    ["$1", '"$1"'],
    ["$", '"$"'],
    ["{$}", '"{$}"'],
    ["{$1.50}", '"{$1.50}"'],
    ["$1.outputs", '"$1.outputs"'],
    ["$5 off, {$1.output.key1} left", '"$5 off, 200 left"'],
    // $$ stands for a literal $ where a reference would begin, and only there.
    ["$$.input.x", '"$.input.x"'],
    ["$$[0]", '"$[0]"'],
    ["$$1.output.key1", '"$1.output.key1"'],
    ["{$$.a}", '"{$.a}"'],
    ["{$$$.a}", '"{$$.a}"'],
    ["$$.a {$1.output.key1} {$$.b}", '"$.a 200 {$.b}"'],
    ["$$", '"$$"'],
    ["$$5", '"$$5"'],
    ["a $$.b", '"a $$.b"'],
    ["x$$.b", '"x$$.b"'],
    // Resolved values are never resolved again.
    ["$.input.text", '"{$.input.name}"'],
  ])("%s", (template, expected) => {
    expect(resolve(template)).toBe(expected);
  });

  test("the example of the language", () => {
    const found = resolveTemplate(
      compileTemplate("Hi {$.input.name}, {$.2.output.user.discount}% off"),
      viewOf({ input: '{"name":"Ann"}', outputs: { "2": '{"user":{"discount":15}}' } }),
    );
    expect(found).toEqual({ ok: true, text: '"Hi Ann, 15% off"' });
  });

  test("what only begins like a reference is refused, every one with its place", () => {
    const template = { a: ["$.", "fine"], b: { c: "Hi {$.input.name", d: "$[x]" }, e: "{$.a b}" };
    try {
      compileTemplate(template);
      throw new Error("it was accepted");
    } catch (error) {
      if (!(error instanceof TemplateSyntaxError)) throw error;
      expect(error.problems.map((problem) => problem.path)).toEqual([
        ["a", 0],
        ["b", "c"],
        ["b", "d"],
        ["e"],
      ]);
      expect(error.problems[1]!.message).toContain("closing brace");
    }
  });
});

describe("values", () => {
  test("are resolved to any depth; keys are not templates", () => {
    const template = {
      "$.input.n": [{ deep: "$1.output.key1" }, true, null, 1.5],
      s: "{$.input.n}",
    };
    expect(resolve(template)).toBe(
      '{"$.input.n":[{"deep":"200"},true,null,1.5],"s":12345678901234567890}',
    );
  });

  test("without references are passed on as they are", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false } as object), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes("$"));
        expect(resolve(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test("strings built from anything resolve to valid JSON or are refused", () => {
    const piece = fc.constantFrom(
      "{",
      "}",
      "$",
      "$.",
      "$$",
      "input.name",
      "[",
      "]",
      "'",
      '"',
      "1.output",
      " ",
      "\\",
      "\ud800",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          JSON.parse(resolve({ text: pieces.join("") }));
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateSyntaxError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test("__proto__ is a key like any other", () => {
    expect(resolve(JSON.parse('{"__proto__":{"a":"$1.output.key1"}}'))).toBe(
      '{"__proto__":{"a":"200"}}',
    );
  });

  test("too deep a template is refused", () => {
    let deep: Json = 1;
    for (let level = 0; level < 50_000; level++) deep = [deep];
    expect(() => compileTemplate(deep)).toThrow("deeper");
  });
});

test("strict: the missing reference is named; a null and an empty list are not missing", () => {
  const compiled = compileTemplate({ a: "$.input.none", b: "$.input.zz[*]", c: "x {$.input.zz}" });
  expect(resolveTemplate(compiled, view, { strict: true })).toEqual({
    ok: false,
    missing: "$.input.zz",
  });
  const present = compileTemplate(["$.input.none", "$.input.zz[*]"]);
  expect(resolveTemplate(present, view, { strict: true })).toEqual({ ok: true, text: "[null,[]]" });
});

test("needs: what must be loaded to resolve it", () => {
  const needsOf = (template: Json) => compileTemplate(template).needs;
  expect(needsOf(["fixed"])).toEqual({ outputs: [], input: false });
  expect(needsOf("$.execution.id")).toEqual({ outputs: [], input: false });
  expect(needsOf(["{$.input.a} {$1.output}", "$.1", "$price.output"])).toEqual({
    outputs: ["1", "price"],
    input: true,
  });
  expect(needsOf("$.*.output")).toEqual({ outputs: "all", input: true, failure: true });
  expect(needsOf(["$.1.status", "{$.2.error.code}"])).toEqual({ outputs: [], input: false });
  expect(needsOf("$.execution.error.code")).toEqual({ outputs: [], input: false, failure: true });
});

test("a text beyond the size of a payload is cut off instead of growing without end", () => {
  const megabyte = viewOf({ input: JSON.stringify("x".repeat(1024 * 1024)) });
  const compiled = compileTemplate(Array.from({ length: 1_000 }, () => "$.input"));
  const resolved = resolveTemplate(compiled, megabyte);
  if (!resolved.ok) throw new Error("missing");
  expect(resolved.text.length).toBeGreaterThan(limits.payloadBytesMax);
  expect(resolved.text.length).toBeLessThan(2 * limits.payloadBytesMax);
});
