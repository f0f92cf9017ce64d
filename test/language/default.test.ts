/** Defaults of references: `$.input.name ?? "there"`. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseReference, ReferenceSyntaxError } from "../../src/language/data/reference.ts";
import {
  compileTemplate,
  resolveTemplate,
  TemplateSyntaxError,
} from "../../src/language/data/template.ts";
import type { Json } from "../../src/model/json.ts";
import { viewOf } from "../support/view.ts";

const view = viewOf({
  input: '{"name":"Ann","n":12345678901234567890,"none":null,"no":false,"zero":0,"empty":""}',
  outputs: { "1": '{"a":[1]}' },
});

const resolve = (template: Json, strict = false) => {
  const resolved = resolveTemplate(compileTemplate(template), view, { strict });
  return resolved.ok ? resolved.text : `missing ${resolved.missing}`;
};

test.each([
  ['$.input.name ?? "there"', '"Ann"'],
  ['$.input.nope ?? "there"', '"there"'],
  ['$.input.none ?? "there"', '"there"'],
  ["$.input.no ?? 1", "false"],
  ["$.input.zero ?? 1", "0"],
  ['$.input.empty ?? "x"', '""'],
  ["$.input.n??0", "12345678901234567890"],
  ["$.input.nope   ??   12345678901234567890.10", "12345678901234567890.10"],
  ["$.input.nope ?? null", "null"],
  ['$.input.nope ?? {"a": ["}", "??"]}', '{"a": ["}", "??"]}'],
  ["$.input.nope ?? $.input.none ?? $1.output.a", "[1]"],
  ["$.input.nope ?? $.input.none", "null"],
  ["$.input.nope ?? $.input.name ?? 0", '"Ann"'],
  ["$.input.nope ?? $.1.output.a[*]", "[1]"],
  ["$['input']['a ?? b'] ?? 5", "5"],
  ['{$.input.nope ?? {"a": 1}}', '{"a": 1}'],
  ['{$.input.nope ?? "}"}', '"}"'],
  // In a longer text.
  ['Hi {$.input.nope ?? "there"}!', '"Hi there!"'],
  ['Hi {$.input.nope ?? "it\'s {you}"}!', '"Hi it\'s {you}!"'],
  ['<{$.input.nope ?? "\\"}\\""}>', '"<\\"}\\">"'],
  ["<{$.input.nope ?? [1, {}]}|{$.input.nope ?? $.input.n}|{$.input.none ?? null}>", undefined],
  // Defaults are values: they are not resolved again.
  ['$.input.nope ?? "$.input.name"', '"$.input.name"'],
  ['$.input.nope ?? "{$.input.name}"', '"{$.input.name}"'],
])("%s", (template, expected) => {
  expect(resolve(template)).toBe(expected ?? '"<[1, {}]|12345678901234567890|null>"');
});

test("strict: only the last missing reference fails", () => {
  expect(resolve("$.input.nope ?? 1", true)).toBe("1");
  expect(resolve("$.input.nope ?? null", true)).toBe("null");
  expect(resolve("$.input.nope ?? $.input.none", true)).toBe("null");
  const both = "$.input.nope ?? $.nobody.output";
  expect(resolve(both, true)).toBe(`missing ${both}`);
  expect(resolve(`a {${both}}`, true)).toBe(`missing ${both}`);
});

test.each([
  ["$.input.name ?? there", 'stands "there" instead of a reference or a JSON value'],
  ["{$.input.name ?? there}", 'stands "there" instead of a reference or a JSON value'],
  ["Hi {$.input.name ?? it's me}!", 'stands "it\'s me" instead of'],
  ["$.input.name ?? 'there'", "text is in quotes"],
  ["$.input.name ??", "stands nothing instead of"],
  ["$.input.name ?? ?? 1", "is not a reference"],
  ["$.input.name ?? 1e999", "instead of"],
  [`$.input.name ?? ${"[".repeat(200)}${"]".repeat(200)}`, "instead of"],
  ["$.input.name ?? 1 ?? $.input.n", "which always counts"],
  ["$.input.list[*] ?? []", "takes no default"],
  ["$.input.a ?? $..b ?? 1", "takes no default"],
  ["$.input.name ? 1", "instead of"],
  [`$.input.name${" ?? $.input.n".repeat(17)}`, "more than 16 defaults"],
  ['Hi {$.input.name ?? "there}', "no closing brace"],
  ['Hi {$.input.name ?? {"a":1}', "no closing brace"],
  ["$.input. ?? 1", "is not a reference"],
])("refused: %s", (template, says) => {
  expect(() => compileTemplate(template)).toThrow(TemplateSyntaxError);
  expect(() => compileTemplate(template)).toThrow(says);
});

test("needs what all its references read", () => {
  const { needs } = parseReference("$.1.output.a ?? $b.output ?? $.input.x ?? 1");
  expect(needs).toEqual({ outputs: ["1", "b"], input: true });
});

describe("agrees with a naive reading", () => {
  const literal = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));
  const source = fc.constantFrom("name", "n", "none", "nope", "no", "zero");
  const chain = fc.record({
    sources: fc.array(source, { minLength: 1, maxLength: 4 }),
    last: fc.option(literal, { nil: undefined }),
    spaces: fc.constantFrom("", " ", "  "),
  });
  const data: Record<string, string | undefined> = {
    name: '"Ann"',
    n: "12345678901234567890",
    none: "null",
    no: "false",
    zero: "0",
  };

  test("alone, in braces and in a longer text", () => {
    fc.assert(
      fc.property(chain, ({ sources, last, spaces }) => {
        const parts = [...sources.map((name) => `$.input.${name}`), ...(last ? [last] : [])];
        const text = parts.join(`${spaces}??${spaces}`);
        const values = [...sources.map((name) => data[name]), ...(last ? [last] : [])];
        const wanted = values.find((value) => value !== undefined && value !== "null");
        const value = wanted ?? values.at(-1);
        expect(resolve(text)).toBe(value ?? "null");
        expect(resolve(`{${text}}`)).toBe(value ?? "null");
        expect(resolve(text, true)).toBe(value ?? `missing ${text}`);
        const shown = value?.startsWith('"') ? JSON.parse(value) : (value ?? "");
        expect(JSON.parse(resolve(`<{${text}}> {${text}}`))).toBe(`<${shown}> ${shown}`);
      }),
      { numRuns: 1_000 },
    );
  });

  test("no text makes the parser fail in another way, nor what it accepts fail", () => {
    const piece = fc.constantFrom(
      "$.input.n",
      "$.input.nope",
      "??",
      " ",
      "?",
      '"',
      "'",
      "{",
      "}",
      "[",
      "]",
      "1",
      "null",
      "\\",
      "$$",
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        for (const text of [pieces.join(""), `{$.input.nope ??${pieces.join("")}}`]) {
          try {
            JSON.parse(resolve(text));
            if (text.includes("??")) accepted += 1;
          } catch (error) {
            if (!(error instanceof ReferenceSyntaxError))
              expect(error).toBeInstanceOf(TemplateSyntaxError);
          }
        }
      }),
      { numRuns: 3_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
