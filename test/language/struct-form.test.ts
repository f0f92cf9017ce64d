/** Which parameters fit a Struct: the size that is computed is the one that protobuf has. */
import { expect, test } from "bun:test";
import { fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { limits } from "../../src/base/limits.ts";
import { structBytes, structFault } from "../../src/language/data/struct-form.ts";

const encoded = (text: string) =>
  toBinary(StructSchema, fromJson(StructSchema, JSON.parse(text) as JsonObject)).length;

const header = "{}";

test("any object takes as many bytes as are computed", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constant("x".repeat(300)));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(null, true, false, 0, -1.5e-7, 12345678),
      text,
      fc.array(tie("value"), { maxLength: 20 }),
      fc.dictionary(text, tie("value"), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(text, value), fc.boolean(), (object, isSpread) => {
      const written = JSON.stringify(object, null, isSpread ? 2 : 0);
      expect([written, structBytes(written)]).toEqual([written, encoded(written)]);
    }),
    { numRuns: 300 },
  );
});

test("escapes count as what they stand for", () => {
  const written = '{"é\\u00e9\\"\\\\\\n":"\\ud83d\\ude00😀\\/\\u0041"}';
  expect(structBytes(written)).toBe(encoded(written));
});

test("the bound of an answer parts those that fit", () => {
  // Each number takes 11 bytes; 1 KiB and more is left for what a task is besides.
  const fitting = Math.floor((limits.pollResponseBytesMax - 2_000) / 11);
  const list = (count: number) => `{"a":[${Array(count).fill(1).join()}]}`;
  expect(structFault({ header, parameters: list(fitting) })).toBeUndefined();
  expect(structFault({ header, parameters: list(fitting + 1_000) })).toBe("too-large");
  const letters = (count: number) => `{"a":"${"é".repeat(count)}"}`;
  expect(structFault({ header, parameters: letters(1_500_000) })).toBeUndefined();
});

test("more levels than a Struct carries are found, in lists as in objects", () => {
  const most = limits.structDepthMax;
  const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  const lists = (levels: number) => `{"a":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
  for (const nested of [objects, lists]) {
    expect(structFault({ header, parameters: nested(most) })).toBeUndefined();
    expect(structFault({ header, parameters: nested(most + 1) })).toBe("too-deep");
  }
});
