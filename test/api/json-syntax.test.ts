/** The position of what is wrong in JSON, and its depth. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { findSyntaxProblem, notJson } from "../../src/api/json-syntax.ts";
import { recursionLimit } from "../../src/api/rpc/recursion-limit.ts";
import { isTooDeep } from "../../src/base/json-shape.ts";

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

test.each([
  ["", 1, 1, "a JSON value"],
  ["[1,\n 2,\n  x]", 3, 3, "a JSON value"],
  ["[,]", 1, 2, 'a JSON value or "]"'],
  ["{a: 1}", 1, 2, 'a member name in double quotes or "}"'],
  ['{"a": 1,}', 1, 9, "a member name in double quotes"],
  ['{"a" 1}', 1, 6, '":"'],
  ['{"a": [1, 2}', 1, 12, '"," or "]"'],
  ['{"a":\r\n{"b": 1] }', 2, 8, '"," or "}"'],
  ['{"a": 1', 1, 8, '"," or "}"'],
  ["[1] // done", 1, 5, "the end of the text"],
  ["[-.5]", 1, 2, 'a JSON value or "]"'],
  ["[1.]", 1, 2, "more digits"],
  ['["a]', 1, 5, "a closing double quote"],
  ['["a\\nb\\q"]', 1, 7, "a valid escape"],
  ['["\\u00g0"]', 1, 3, "four hexadecimal digits after \\u"],
  ['["a\tb"]', 1, 4, "an escape for a control character"],
])("%j names line %d, column %d and what was expected", (text, line, column, expected) => {
  expect(findSyntaxProblem(text)).toMatchObject({ line, column, expected });
});

test("a text as long and as deep as bodies may be is no problem", () => {
  expect(findSyntaxProblem(`["${"x".repeat(500_000)}`)).toMatchObject({ offset: 500_002 });
  expect(findSyntaxProblem("[".repeat(recursionLimit))).toMatchObject({ offset: recursionLimit });
  expect(notJson("[".repeat(8_000_000)).message).toBe("The body is not valid JSON.");
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
