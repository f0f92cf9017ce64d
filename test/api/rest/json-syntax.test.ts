/** The position of what is wrong in JSON, and its depth. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { findSyntaxProblem, isTooDeep } from "../../../src/api/rest/json-syntax.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("takes for JSON exactly what JSON.parse takes", () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom(...'{}[]",:01-.eE\\u ntf\u0001'),
      (text, at, one) => {
        const position = at % (text.length + 1);
        for (const variant of [
          text,
          text.slice(0, position) + one + text.slice(position),
          text.slice(0, position) + one + text.slice(position + 1),
          text.slice(0, position),
        ]) {
          expect([variant, findSyntaxProblem(variant) === undefined]).toEqual([
            variant,
            parses(variant),
          ]);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("what stands before the position could begin a JSON text", () => {
  expect(findSyntaxProblem("[1,\n 2,\n  x]")).toMatchObject({ line: 3, column: 3, offset: 10 });
});

test("very long and very deep texts are no problem", () => {
  const long = `"${"x".repeat(8_000_000)}`;
  expect(findSyntaxProblem(long)).toMatchObject({ offset: long.length });
  expect(findSyntaxProblem("[".repeat(1_000_000))).toMatchObject({ offset: 1_000_000 });
});

test("depth counts brackets outside of strings", () => {
  expect(isTooDeep('[{"a": [1]}]', 3)).toBe(false);
  expect(isTooDeep('[{"a": [1]}]', 2)).toBe(true);
  expect(isTooDeep(String.raw`["[[[[\"[[[["]`, 1)).toBe(false);
  expect(isTooDeep("[],[],[]", 1)).toBe(false);
});
