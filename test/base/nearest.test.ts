import { expect, test } from "bun:test";
import { nearest } from "../../src/base/nearest.ts";

test.each([
  ["naem", "name"],
  ["NAME", "name"],
  ["parameter", "parameters"],
  ["xyzzyx", undefined],
  ["n".repeat(201), undefined],
] as const)("nearest to %s: %p", (name, expected) => {
  expect(nearest(name, ["next", "name", "parameters", "n".repeat(200)])).toBe(expected!);
});

test("with nothing known, nothing is near", () => {
  expect(nearest("name", [])).toBeUndefined();
});
