import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JSONPath } from "jsonpath-plus";
import {
  parseReference,
  ReferenceSyntaxError,
  resolveReference,
} from "../../src/language/data/reference.ts";
import { viewOf } from "../support/view.ts";

const view = viewOf({
  input: '{"a":[{"b":12345678901234567890},{"b":2},{"c":{"b":[3]}}],"x y":{"]":"odd"},"n":null}',
  outputs: { "1": '{"key1":"200"}', price: '{"total":10.50}', "a-b": "[1,2,3,4,5]" },
});

function find(text: string): string | undefined {
  return resolveReference(parseReference(text), view);
}

describe("definite references", () => {
  test.each([
    ["$.input.a[0].b", "12345678901234567890"],
    ["$.input.a.1.b", "2"],
    ["$['input']['x y'][']']", '"odd"'],
    ['$["input"]["x\\u0020y"]', '{"]":"odd"}'],
    ["$.input.n", "null"],
    ["$.1.output.key1", '"200"'],
    ["$1.output.key1", '"200"'],
    ["$[1].output.key1", '"200"'],
    ["$['1'].output", '{"key1":"200"}'],
    ["$.1", '{"output":{"key1":"200"}}'],
    ["$price.output.total", "10.50"],
    ["$a-b.output[4]", "5"],
    ["$.execution.id", '"e-1"'],
  ])("%s finds %s", (text, expected) => {
    expect(parseReference(text).definite).toBe(true);
    expect(find(text)).toBe(expected);
  });

  test.each([
    "$.input.missing",
    "$.input.a.length",
    "$.input.a[9]",
    "$.input.__proto__",
    "$.input.constructor.name",
    "$.2.output",
    "$.2",
    "$.1.status",
    "$.__proto__.output",
    "$.execution.nothing",
  ])("%s is missing", (text) => {
    expect(find(text)).toBeUndefined();
  });
});

describe("references to lists", () => {
  test.each([
    ["$.input.a[*].b", "[12345678901234567890,2]"],
    ["$.input.a.*.b", "[12345678901234567890,2]"],
    ["$.input..b", "[12345678901234567890,2,[3]]"],
    ["$.input.a[0,1]['b','c']", "[12345678901234567890,2]"],
    ["$a-b.output[1:3]", "[2,3]"],
    ["$a-b.output[-2:]", "[4,5]"],
    ["$a-b.output[::2]", "[1,3,5]"],
    ["$a-b.output[::-1]", "[5,4,3,2,1]"],
    ["$.*.output", '[{"key1":"200"},{"total":10.50},[1,2,3,4,5]]'],
    ["$['1','price'].output", '[{"key1":"200"},{"total":10.50}]'],
    ["$.input.missing[*]", "[]"],
    ["$.2.output[*]", "[]"],
    ["$.input[*].__proto__", "[]"],
  ])("%s finds %s", (text, expected) => {
    expect(parseReference(text).definite).toBe(false);
    expect(find(text)).toBe(expected);
  });

  test.each([
    ['[1,2 ,3,\n[4,5], {"a":6,"b":7}]', "[*]", [1, 2, 3, [4, 5], { a: 6, b: 7 }]],
    ["[1,2,3,4,5,6]", "[0,1,3,4,2,3]", [1, 2, 4, 5, 3]],
    ["[1,2,3,4,5,6]", "[0,'0',1]", [1, 1, 2]],
    ["[[1,2],[3,4],[5]]", "[*][*]", [1, 2, 3, 4, 5]],
    ["[[1,[2,3]],4]", "..*", [[1, [2, 3]], 4, 1, [2, 3], 2, 3]],
    ["[1,2,3]", "[::-1]", [3, 2, 1]],
    ['{"a":1,"b":2,"a":3}', "[*]", [3, 2]],
  ])("of %s, %s is a list of what is found, however it stands there", (input, path, wanted) => {
    const found = resolveReference(parseReference(`$.input${path}`), viewOf({ input }));
    expect(JSON.parse(found!)).toEqual(wanted);
  });

  test("the keys that a well-known library treats as operators are data", () => {
    const odd = viewOf({
      input: '{"^":{"v":1},"~":{"v":2},"`x":{"v":3},"@string()":{"v":4},"$":{"v":5}}',
    });
    expect(resolveReference(parseReference("$.input[*].v"), odd)).toBe("[1,2,3,4,5]");
    expect(resolveReference(parseReference("$.input['^','@string()'].v"), odd)).toBe("[1,4]");
  });

  test("what is found agrees with jsonpath-plus", () => {
    const name = fc.constantFrom("a", "b", "c", "d");
    const { value: tree } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "medium" },
        fc.nat(9),
        fc.constant("t"),
        tie("array"),
        tie("object"),
      ),
      array: fc.array(tie("value"), { maxLength: 4 }),
      object: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
    }));
    const bound = fc.option(fc.integer({ min: -5, max: 5 }), { nil: "" });
    const step = fc.oneof(
      name.map((key) => `.${key}`),
      fc.nat(3).map((index) => `[${index}]`),
      fc.constantFrom("[*]", ".*", "['a','c']", "[0,2]"),
      fc
        .tuple(bound, bound, fc.constantFrom("", ":1", ":2"))
        .map((parts) => `[${parts[0]}:${parts[1]}${parts[2]}]`),
    );
    const path = fc
      .tuple(
        fc.array(step, { maxLength: 3 }),
        fc.constantFrom("", "..a", "..*", "..[0]"),
        fc.array(step, { maxLength: 2 }),
      )
      .map(([before, deep, after]) => before.join("") + deep + after.join(""));
    fc.assert(
      fc.property(tree, path, (input, steps) => {
        const reference = parseReference(`$.input${steps}`);
        const found = resolveReference(reference, viewOf({ input: JSON.stringify(input) }));
        const wanted = JSONPath({
          path: `$.input${steps}`,
          json: { input } as object,
          eval: false,
          wrap: true,
        });
        // That library lets an index reach into text.
        if (JSON.stringify(input).includes('"t"')) return;
        const list = reference.definite
          ? found === undefined
            ? []
            : [JSON.parse(found)]
          : JSON.parse(found!);
        expect(list).toEqual(wanted);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what is not a reference", () => {
  test.each([
    ["$.", "member's name"],
    ["$.input.", "member's name"],
    ["$.input..", "member's name"],
    ["$[", "quoted name"],
    ["$['a", "not closed"],
    ["$['a'", "]"],
    ["$.input.a[(@.length-1)]", "scripts and functions"],
    ["$ .input", "begin with"],
    ["$.input .a", "instead of a dot"],
    ["$.input\t['a']", "instead of a dot"],
    ["$.input.a^", "operator ^"],
    ["$.input.a~", "operator ~"],
    ["$.input.a.@string()", "type operators"],
    ["$.input.a[-1]", "[-1:]"],
    ["$.input.a[1:2:0]", "steps of 0"],
    ["$.input.a['b':2]", "number before the colon"],
    ["$.input..a..b", "only once"],
    ["$.input.`a", "instead of"],
    ["$1.output.key1 and more", "instead of"],
    [`$.input${".a".repeat(70)}`, "more than 64 steps"],
    [`$.input.${"a".repeat(2_000)}`, "1024"],
    ["$1.50", "begin with"],
    ["input.a", "begin with"],
  ])("%s: %s", (text, reason) => {
    expect(() => parseReference(text)).toThrow(ReferenceSyntaxError);
    expect(() => parseReference(text)).toThrow(reason);
  });

  test("no text makes the parser fail in another way, nor what it accepts fail at run time", () => {
    const pieces = fc.constantFrom(
      "$",
      ".",
      "..",
      "[",
      "]",
      "'",
      '"',
      "*",
      ",",
      ":",
      "-1",
      "0",
      "a",
      "\\",
      "?(",
      "^",
      "~",
      "@",
      "`",
      "input",
      "__proto__",
      " ",
      "{",
      "}",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = `$.${parts.join("")}`;
        try {
          const found = resolveReference(parseReference(text), view);
          if (found !== undefined) JSON.parse(found);
        } catch (error) {
          expect(error).toBeInstanceOf(ReferenceSyntaxError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
