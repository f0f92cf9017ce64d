/** The position of what is wrong in JSON, and its depth. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { findSyntaxProblem } from "../../../src/api/rest/json-syntax.ts";
import { isTooDeep } from "../../../src/base/json-shape.ts";

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

/** Unit by unit. */
function isTooDeepPlainly(text: string, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    if (inString) {
      if (text[i] === "\\") i++;
      else if (text[i] === '"') inString = false;
    } else if (text[i] === '"') inString = true;
    else if ("[{".includes(text[i]!) && ++depth > depthMax) return true;
    else if ("]}".includes(text[i]!)) depth--;
  }
  return false;
}

test("counts the depth of any text as one that looks at each unit does", () => {
  const unit = fc.constantFrom(...'[{]}"\\a');
  fc.assert(
    fc.property(
      fc.array(unit, { maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      (units, most) => {
        const text = units.join("");
        expect([text, isTooDeep(text, most)]).toEqual([text, isTooDeepPlainly(text, most)]);
      },
    ),
    { numRuns: 5_000 },
  );
});
