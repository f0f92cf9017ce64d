import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { Beats } from "../../../src/runtime/dispatch/beats.ts";

test("the newest word of each token is kept; one without progress leaves what was said", () => {
  const beats = new Beats();
  beats.note("a", 1, '"half"');
  beats.note("a", 2, undefined);
  expect(beats.of("a")).toEqual({ at: 2, progress: '"half"' });
  beats.note("a", 3, '"done"');
  expect(beats.of("a")).toEqual({ at: 3, progress: '"done"' });
  expect(beats.of("b")).toBeUndefined();
});

test("memory is bounded: the longest silent are forgotten first", () => {
  const beats = new Beats();
  const progress = `"${"x".repeat(limits.progressBytesMax - 2)}"`;
  const count = Math.ceil(limits.beatsBytesMax / progress.length);
  beats.note("lively", 0, progress);
  for (let at = 0; at < count; at++) {
    beats.note(`t${at}`, at, progress);
    beats.note("lively", at, undefined);
  }
  const kept = Array.from({ length: count }, (_, at) => beats.of(`t${at}`) !== undefined);
  expect(kept.indexOf(true)).toBeGreaterThan(count / 3);
  expect(kept.slice(kept.indexOf(true)).every(Boolean)).toBe(true);
  expect(beats.of("lively")?.progress).toBe(progress);
});
