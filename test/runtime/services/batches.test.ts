import { expect, test } from "bun:test";
import { inBatches, tokensPerBatch } from "../../../src/runtime/services/batches.ts";
import { HandClock } from "../../support/hand-clock.ts";

const size = tokensPerBatch;
const items = Array.from({ length: 3 * size + 1 }, (_, i) => i);

test("batches are worked through in order, each after the one before", async () => {
  const seen: number[][] = [];
  let open = 0;
  await inBatches(items, new HandClock(), async (batch) => {
    open += 1;
    expect(open).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    open -= 1;
    seen.push([...batch]);
  });
  expect(seen.map((batch) => batch.length)).toEqual([size, size, size, 1]);
  expect(seen.flat()).toEqual(items);
  await inBatches([], new HandClock(), () => Promise.reject(new Error("never called")));
});

test("a batch that hangs keeps none waiting for long, and one that fails keeps none from its turn", async () => {
  const clock = new HandClock();
  const { promise: hanging, resolve } = Promise.withResolvers<void>();
  const begun: number[] = [];
  const done = inBatches(items, clock, ([first]) => {
    begun.push(first!);
    if (first === 0) return hanging;
    return first === size ? Promise.reject(new Error("away")) : Promise.resolve();
  });
  await clock.pass(1_000);
  expect(begun).toEqual([0, size, 2 * size, 3 * size]);
  resolve();
  await expect(done).rejects.toThrow("away");
});
