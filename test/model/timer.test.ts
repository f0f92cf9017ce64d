import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ActionTimerKind,
  formatTimer,
  isDeadline,
  parseTimer,
} from "../../src/model/timer.ts";

const actionKinds: readonly ActionTimerKind[] = ["delay", "wait", "retry", "total", "script"];
const number = fc.nat(1_000_000_000);
const anyTimer = fc.oneof(
  fc.constant({ kind: "retention" } as const),
  fc.record({ kind: fc.constant("timeout" as const), run: number }),
  fc.record({ kind: fc.constant("continue" as const), handout: number }),
  fc.record({
    kind: fc.constantFrom(...actionKinds),
    run: number,
    handout: number,
    actionKey: fc.stringMatching(/^(?:[A-Za-z_][A-Za-z0-9_-]{0,63}|\d{1,10})$/),
  }),
);

test("the id of any timer is read as it was written", () => {
  fc.assert(
    fc.property(anyTimer, (timer) => expect(parseTimer(formatTimer(timer))).toEqual(timer)),
  );
});

test("ids are written as they always were", () => {
  const of = { run: 2, handout: 7, actionKey: "pay" };
  expect(actionKinds.map((kind) => formatTimer({ kind, ...of }))).toEqual([
    "delay:2:7:pay",
    "wait:2:7:pay",
    "retry:2:7:pay",
    "total:2:7:pay",
    "script:2:7:pay",
  ]);
  expect(formatTimer({ kind: "timeout", run: 2 })).toBe("timeout:2");
  expect(formatTimer({ kind: "continue", handout: 7 })).toBe("continue:7");
  expect(formatTimer({ kind: "retention" })).toBe("retention");
});

test("what no server made is no timer", () => {
  for (const id of ["", "later", "delay", "delay:1:2", "toString:1:2:a"]) {
    expect(parseTimer(id)).toBeUndefined();
    expect(isDeadline(id)).toBe(false);
  }
});

test("deadlines are what ends something", () => {
  const ids = ["wait:1:2:a", "total:1:2:a", "timeout:1", "delay:1:2:a", "retry:1:2:a"];
  expect(ids.map(isDeadline)).toEqual([true, true, true, false, false]);
  expect(["script:1:2:a", "continue:2", "retention"].map(isDeadline)).toEqual([
    false,
    false,
    false,
  ]);
});
