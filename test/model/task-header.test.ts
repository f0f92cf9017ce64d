import { expect, test } from "bun:test";
import fc from "fast-check";
import { beginHeader, finishHeader, readHeader } from "../../src/model/task-header.ts";

const text = fc.string({ minLength: 1, maxLength: 40 });
const start = fc.record({
  workflow: text,
  version: fc.nat(),
  actionKey: text,
  actionId: fc.oneof(fc.nat(), text),
  actionNumber: fc.nat(),
  name: fc.oneof(text, fc.constant(',"attempt":1')),
});
const rest = fc.record(
  {
    attempt: fc.nat(),
    handout: fc.nat(),
    offeredAt: fc.nat(),
    correlationId: text,
    traceContext: text,
    traceState: text,
  },
  { requiredKeys: ["attempt", "handout"] },
);

test("a header is read as it was written, by any reader of JSON too", () => {
  fc.assert(
    fc.property(start, rest, (one, other) => {
      const header = finishHeader(beginHeader(one), other);
      expect(readHeader(header)).toEqual({ ...one, ...other });
      expect(JSON.parse(header)).toEqual({ ...one, ...other });
    }),
  );
});

test("it is written as it always was", () => {
  const always =
    '{"workflow":"w","version":1,"actionKey":"a","actionId":"a","actionNumber":1,"name":"n",' +
    '"attempt":2,"handout":3,"offeredAt":4,"correlationId":"c","traceContext":"t","traceState":"s"}';
  const { attempt, handout, offeredAt, correlationId, traceContext, traceState, ...one } =
    JSON.parse(always);
  const other = { attempt, handout, offeredAt, correlationId, traceContext, traceState };
  expect(finishHeader(beginHeader(one), other)).toBe(always);
});
