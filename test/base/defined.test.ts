import { expect, test } from "bun:test";
import { defined } from "../../src/base/defined.ts";

test("members that are undefined are left out, all others are kept in their order", () => {
  const kept = defined({ z: 0, a: undefined, b: null, c: "", d: false });
  expect(JSON.stringify(kept)).toBe('{"z":0,"b":null,"c":"","d":false}');
  expect("a" in kept).toBe(false);
});
