/** One text for each JSON value. */
import { expect, test } from "bun:test";
import { canonicalCharsMax, canonicalJson } from "../../src/model/canonical.ts";

test.each([
  [
    "order and space do not count",
    ' { "b" : [1, 2 ],\n"a":{"d":null,"c":true}}',
    '{"a":{"c":true,"d":null},"b":[1,2]}',
  ],
  ["forms of one number and one text", '[1.0, 1e2, -0, 0.10, "\\u0041\\/"]', '[1,100,0,0.1,"A/"]'],
  [
    "members that are named as parts of objects",
    '{"__proto__":1,"constructor":{"length":2}}',
    '{"__proto__":1,"constructor":{"length":2}}',
  ],
  ["nothing in it", '[[],{},""]', '[[],{},""]'],
  ["a value alone", " null ", "null"],
  ["of two names the later counts", '{"a":1,"a":2}', '{"a":2}'],
])("%s", (_title, text, canonical) => {
  expect(canonicalJson(text)).toBe(canonical);
  expect(canonicalJson(canonical)).toBe(canonical);
});

test("numbers that a double does not hold are compared by their exact value", () => {
  const texts = ["9007199254740993", "9007199254740992", "1.1", "1.10000000000000000001"];
  expect(texts.map(canonicalJson)).toEqual(texts);
  expect(["9007199254740993.0", "11e-1", "1e30"].map(canonicalJson)).toEqual([
    "9007199254740993",
    "1.1",
    `1${"0".repeat(30)}`,
  ]);
});

test("a very long text is left as it is", () => {
  const text = `[ ${"1,".repeat(canonicalCharsMax / 2)}1]`;
  expect(canonicalJson(text)).toBe(text);
});
