/** Filters in references: what they find, what they compare, and what is not a filter. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JSONPath } from "jsonpath-plus";
import { limits } from "../../src/base/limits.ts";
import {
  parseReference,
  ReferenceSyntaxError,
  resolveReference,
} from "../../src/language/data/reference.ts";
import { compileTemplate, resolveTemplate } from "../../src/language/data/template.ts";
import { viewOf } from "../support/view.ts";

const input = `{
  "lines": [{"sku":"a","price":5,"tags":["x"]}, {"sku":"b","price":10.0}, {"sku":"c","price":12, "gone":null}],
  "stock": {"a": 1, "b":0},
  "ids": [9007199254740993, 9007199254740992, 1e1, "9007199254740993", 12345678901234567890],
  "texts": ["\\u0061", "b", "\\uffee", "😀", ""],
  "mixed": [1, "1", true, null, [1, {"b":2,"a":1}], {"a":1.0,"b":[]}, {"b":[], "a":1}],
  "odd": [{"__proto__":1}, {"constructor":{"name":2}}, {}, {"a":{"__proto__":{"a":3}}}],
  "least": 10, "wanted": "b", "list": ["b"]
}`;
const view = viewOf({ input, outputs: { limits: '{"price":10}', "2": '["a","c"]' } });

const find = (text: string) => resolveReference(parseReference(text), view);

describe("a filter", () => {
  test.each([
    ["$.input.lines[?(@.price > 10)].sku", '["c"]'],
    ["$.input.lines[?@.price >= 10].sku", '["b","c"]'],
    ["$.input.lines[?@.price==10]['sku','price']", '["b",10.0]'],
    ["$.input.lines[?(10 > @.price)].sku", '["a"]'],
    ["$.input.lines[?@.tags].sku", '["a"]'],
    ["$.input.lines[?(@.gone)].sku", '["c"]'],
    ["$.input.lines[?!@.tags && !(@.price == 10)].sku", '["c"]'],
    ["$.input.lines[?@.tags[0] == 'x' || @.sku == \"c\"].sku", '["a","c"]'],
    ["$.input.lines[?@.price > 6 && @.sku == 'a' || @.sku == 'b'].sku", '["b"]'],
    ["$.input.lines[?@.price > 6 && (@.sku == 'a' || @.sku == 'b')].sku", '["b"]'],
    ["$.input.lines[?@.tags[?@ == 'x']].sku", '["a"]'],
    ["$.input.lines[? @ . price > 10 ]", "refused"],
    ["$.input.lines[?\t@\n.price\r> 10 ].sku", '["c"]'],
    ["$.input.stock[?@ > 0]", "[1]"],
    ["$.input..[?@.sku == 'b'].price", "[10.0]"],
    ["$.input[?@.a == 1]", '[{"a": 1, "b":0}]'],
    ["$.input.least[?@ == 10]", "[]"],
    ["$.input.nothing[?@ == 10]", "[]"],
    ["$.nobody.output[?@ == 10]", "[]"],
  ])("%s finds %s", (text, expected) => {
    if (expected === "refused") expect(() => find(text)).toThrow("instead of a member's name");
    else expect(find(text)).toBe(expected);
  });

  test.each([
    ["$.input.lines[?@.price > $.input.least].sku", '["c"]'],
    ["$.input.lines[?@.price > $limits.output.price].sku", '["c"]'],
    ["$.input.lines[?@.price > $['limits'] .output['price']].sku", '["c"]'],
    ["$.input.lines[?@.sku == $.2.output[1]].sku", '["c"]'],
    ["$.input.lines[?@.sku == $.input.wanted && $.input.list[?@ == 'b']].sku", '["b"]'],
    ["$.input.lines[?@.sku == $.nobody.output].sku", "[]"],
    ["$.input.lines[?$.nobody.output || $.input.list[7:]].sku", "[]"],
    ["$.input.list[?$.input.lines[?@.sku == $.input.wanted && $.2.output]]", '["b"]'],
  ])("%s reads other data, too: %s", (text, expected) => {
    expect(parseReference(text).definite).toBe(false);
    expect(find(text)).toBe(expected);
  });

  test("makes its reference need what its own paths read", () => {
    const needs = (text: string) => parseReference(text).needs;
    const both = "$.1.output[?@.a[?@.b == $.2.output && $.1.output[?$.3.output]]]";
    expect(needs(both)).toEqual({ outputs: ["1", "2", "3"], input: false });
    expect(needs("$.1.output[?@ == $.input.a]")).toEqual({ outputs: ["1"], input: true });
    expect(needs("$.1.output[?$..a]")).toEqual({ outputs: "all", input: true, failure: true });
  });

  test("may stand in a longer text, with braces in quotes", () => {
    const resolved = (text: string) => resolveTemplate(compileTemplate(text), view);
    const text = `{$.input.lines[?@.sku != '}' && @.sku != "]"].price} of {$.input.least}`;
    expect(resolved(text)).toEqual({ ok: true, text: '"[5,10.0,12] of 10"' });
  });
});

describe("a comparison", () => {
  test.each([
    ["ids", "@ == 9007199254740993", "[9007199254740993]"],
    ["ids", "@ > 9007199254740992", "[9007199254740993,12345678901234567890]"],
    ["ids", "@ < 9007199254740992.5", "[9007199254740992,1e1]"],
    ["ids", "@ == 10.00 || @ == 1234567890123456789e1", "[1e1,12345678901234567890]"],
    ["ids", "@ == '9007199254740993'", '["9007199254740993"]'],
    ["ids", "@ < 1e15000 && @ > -1e15000 && @ <= 10", "[1e1]"],
    ["texts", "@ == 'a'", '["\\u0061"]'],
    ["texts", "@ < 'b'", '["\\u0061",""]'],
    ["texts", "@ > '\\ufffd'", '["😀"]'],
    ["texts", "@ >= '\\uffee' && @ < '\\ud83d\\ude01'", '["\\uffee","😀"]'],
    ["mixed", "@ == 1", "[1]"],
    ["mixed", "@ == true || @ == null", "[true,null]"],
    ["mixed", "@ < true || @ > null", "[]"],
    ["mixed", "@ <= true || @ >= null", "[true,null]"],
    ["mixed", "@ == $.input.mixed[5]", '[{"a":1.0,"b":[]},{"b":[], "a":1}]'],
    ["mixed", "@[1] == $.input.mixed[4][1]", '[[1, {"b":2,"a":1}]]'],
    ["mixed", "@.c != @.d", "[]"],
    ["mixed", "@.c == @.d && @.c <= @.d && @ != @.d && @ == 1", "[1]"],
    ["odd", "@.__proto__", '[{"__proto__":1}]'],
    ["odd", "@.constructor.name == 2", '[{"constructor":{"name":2}}]'],
    ["odd", "@.toString || @.length", "[]"],
    ["odd", "@.a == $.input.odd[3].a", '[{"a":{"__proto__":{"a":3}}}]'],
  ])("of %s: %s finds %s", (name, filter, expected) => {
    expect(find(`$.input.${name}[?${filter}]`)).toBe(expected);
  });
});

describe("what is not a filter", () => {
  test.each([
    ["@.a = 1", "the operators are ==, !=, <, <=, > and >="],
    ["@.a === 1", "the operators are ==, !=, <, <=, > and >="],
    ["@.a =~ /x/", "regular expressions are not allowed"],
    ["@.a == /x/", 'at position 19 stands "/" instead of @, $, a quoted text, a number'],
    ["length(@.a) > 1", "functions such as length() are not allowed"],
    ["@.a.match('x')", "scripts and functions are not allowed"],
    ["@.a == 1 & @.b", 'at position 21 stands "&" instead of &&, || or ]'],
    ["(@.a == 1", 'at position 21 stands "]" instead of &&, || or )'],
    ["@.a + 1 > 2", 'stands "+" instead of &&, || or ]'],
    ["@.a == x", 'stands "x" instead of @'],
    ["@.a == True", 'stands "T" instead of @'],
    ["@.a == 01", 'stands "1" instead of &&'],
    [
      "",
      'at position 12 stands "]" instead of @, $, a quoted text, a number, true, false or null, ! or (',
    ],
    ["true", "true alone is not a condition"],
    ["'a' || @.b", "'a' alone is not a condition"],
    ["!1", "1 alone is not a condition"],
    ["!@.a == 1", "!(@.price > 10)"],
    ["(@.a) == 1", 'stands "=" instead of &&, || or ]'],
    ["@.* == 1", "@.* may find several values; only a path to one value can be compared"],
    ["@.a == $.input..b", "$.input..b may find several values"],
    ["@..", "instead of a member's name"],
    ["@.a^", "the operator ^ is not allowed"],
    ["@.a, 1", "a filter stands alone in its brackets"],
    ["@.a == 'b", "is not closed"],
    ["@.a[-1] == 1", "the last element is [-1:]"],
    ["@.a < 1 < 2", 'stands "<" instead of &&, || or ]'],
    ["$price > 1", 'stands "p" instead of &&, || or ]'],
    [`${"(".repeat(16)}@`, "deeper than 16 levels"],
    [`@${".a".repeat(64)}`, "more than 64 steps"],
  ])("%s: %s", (filter, reason) => {
    const parse = () => parseReference(`$.input.a[?${filter}]`);
    expect(parse).toThrow(ReferenceSyntaxError);
    expect(parse).toThrow(reason);
  });

  test("may be as long as a path, and nested as deep as is allowed", () => {
    const long = `$.input.lines[?${"@||".repeat(300)}@]`;
    expect(long.length).toBeLessThan(limits.pathCharsMax);
    expect(find(long)).toBe(find("$.input.lines[*]"));
    const deep = limits.filterDepthMax - 1;
    expect(find(`$.input.ids[?${"(".repeat(deep)}@ == 10${")".repeat(deep)}]`)).toBe("[1e1]");
  });

  test("no text makes the parser fail in another way, nor what it accepts fail at run time", () => {
    const pieces = fc.constantFrom(
      ...["@", "$", ".", "..", "[", "]", "'", '"', "*", ",", ":", "-1", "0", "a", "\\", "?", "("],
      ...[")", "!", "==", "<", ">=", "&&", "||", " ", "\n", "input", "$a.output", "1e5", "null"],
      ...["@.a", "'b'", "[?", "[?@", "__proto__", "=", "~"],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        try {
          const found = resolveReference(parseReference(`$.input[?${parts.join("")}]`), view);
          expect(JSON.parse(found!)).toBeArray();
        } catch (error) {
          expect(error).toBeInstanceOf(ReferenceSyntaxError);
        }
      }),
      { numRuns: 4_000 },
    );
  });
});

/** A part of a filter as text, and what it is of a value: undefined is nothing. */
interface Meaning<T> {
  readonly text: string;
  readonly of: (value: unknown) => T;
}

function member(value: unknown, key: string): unknown {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject && Object.hasOwn(value, key) ? value[key as never] : undefined;
}

/** As RFC 9535 says in 2.3.5.2.2. */
function compared(operator: string, one: unknown, other: unknown): boolean {
  const isEqual = Bun.deepEquals(one, other, true);
  const type = typeof one;
  const isOrdered = type === typeof other && (type === "number" || type === "string");
  const isLess = (a: unknown, b: unknown) => isOrdered && (a as number) < (b as number);
  if (operator === "==") return isEqual;
  if (operator === "!=") return !isEqual;
  const order = operator.startsWith("<") ? isLess(one, other) : isLess(other, one);
  return order || (operator.length === 2 && isEqual);
}

const key = fc.constantFrom("a", "b", "c");
const scalar = fc.oneof(fc.nat(4), fc.constantFrom("s", "t", "", true, false, null, -1.5));
const { value: tree } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "medium" }, scalar, tie("array"), tie("object")),
  array: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(key, tie("value"), { maxKeys: 3 }),
}));
const query = fc.array(key, { maxLength: 2 }).map(
  (keys): Meaning<unknown> => ({
    text: ["@", ...keys].join("."),
    of: (value) => keys.reduce(member, value),
  }),
);
const literal = scalar.map(
  (value): Meaning<unknown> => ({
    text: typeof value === "string" ? `'${value}'` : JSON.stringify(value),
    of: () => value,
  }),
);
const comparison = fc
  .tuple(query, fc.constantFrom("==", "!=", "<", "<=", ">", ">="), fc.oneof(query, literal))
  .map(
    ([left, operator, right]): Meaning<boolean> => ({
      text: `${left.text} ${operator} ${right.text}`,
      of: (value) => compared(operator, left.of(value), right.of(value)),
    }),
  );
const existence = query.map(
  ({ text, of }): Meaning<boolean> => ({ text, of: (value) => of(value) !== undefined }),
);
const { filter } = fc.letrec<{ filter: Meaning<boolean> }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    comparison,
    existence,
    tie("filter").map(({ text, of }) => ({
      text: `!(${text})`,
      of: (value: unknown) => !of(value),
    })),
    fc.tuple(tie("filter"), tie("filter")).map(([one, other]) => ({
      text: `(${one.text}) && (${other.text})`,
      of: (value: unknown) => one.of(value) && other.of(value),
    })),
    fc.tuple(tie("filter"), tie("filter")).map(([one, other]) => ({
      text: `(${one.text}) || (${other.text})`,
      of: (value: unknown) => one.of(value) || other.of(value),
    })),
  ),
}));

test("what a filter finds agrees with jsonpath-plus, and with the RFC read plainly", () => {
  const step = fc.oneof(
    key.map((name) => `.${name}`),
    fc.constantFrom("[*]", "..*", "['a','c']"),
  );
  const paths = fc.tuple(fc.constantFrom("", "[*]", ".a", "..", "..b"), filter, fc.option(step));
  let found = 0;
  const list = fc.array(tree, { minLength: 1, maxLength: 5 });
  const documents = fc.oneof(list, fc.dictionary(key, fc.oneof(tree, list), { minKeys: 1 }));
  fc.assert(
    fc.property(documents, paths, (document, [before, { text, of }, after]) => {
      if (before.startsWith("..") && after?.startsWith("..")) return;
      const path = `$.input${before}[?(${text})]${after ?? ""}`;
      const result = resolveReference(
        parseReference(path),
        viewOf({ input: JSON.stringify(document) }),
      );
      // It keeps evaluators by the texts of their functions, and would go on asking an earlier one.
      (JSONPath as unknown as { clearCache(): void }).clearCache();
      const wanted = JSONPath({
        path,
        json: { input: document } as object,
        eval: (_code: string, context: { _$_v: unknown }) => of(context._$_v),
        wrap: true,
      }) as unknown[];
      expect(JSON.parse(result!)).toEqual(wanted);
      found += wanted.length > 0 ? 1 : 0;
    }),
    { numRuns: 1_000 },
  );
  expect(found).toBeGreaterThan(50);
}, 60_000);
