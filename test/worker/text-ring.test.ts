import { expect, test } from "bun:test";
import { Worker } from "node:worker_threads";
import * as fc from "fast-check";
import { TextRing } from "../../src/worker/text-ring.ts";

test("what is written is read once, in order, however the ends of the memory fall", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: "grapheme", maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 8, max: 200 }), fc.array(fc.option(text)), (size, steps) => {
      const writer = new TextRing(size);
      const reader = new TextRing(writer.memory);
      const expected: string[] = [];
      for (const step of steps) {
        if (step === null) expect(reader.read()).toEqual(expected.splice(0));
        else if (writer.write(step)) expected.push(step);
      }
      expect(reader.read()).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

test("what does not fit is refused, and there is room again when the rest was read", () => {
  const ring = new TextRing(64);
  let written = 0;
  while (ring.write("0123456789")) written += 1;
  expect(written).toBeGreaterThanOrEqual(3);
  for (let n = 0; n < 100; n++) {
    expect(ring.read().length).toBeGreaterThan(0);
    expect(ring.write("0123456789")).toBe(true);
    expect(ring.write("0123456789".repeat(7))).toBe(false);
  }
});

test("another thread reads what is written while it reads", async () => {
  const count = 20_000;
  const ring = new TextRing(4_096);
  const workerData = { memory: ring.memory, count };
  const thread = new Worker(new URL("./ring-reader.ts", import.meta.url), { workerData });
  const read = new Promise((resolve, reject) => {
    thread.on("message", resolve);
    thread.on("error", reject);
  });
  for (let n = 0; n < count; ) {
    if (ring.write(`number ${n}`)) n += 1;
    else await Bun.sleep(0);
  }
  expect(await read).toBe(count);
  await thread.terminate();
});
