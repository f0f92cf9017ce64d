/** When requests to Redis go out, and how many together. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { Batch, type EntryAnswer } from "../../src/store/redis/batch.ts";

interface SentCall {
  readonly size: number;
  answer(): void;
  fail(): void;
}

/** A batch whose calls return when the test says so. */
function openBatch(onePartition = false) {
  const calls: SentCall[] = [];
  const batch = new Batch<string>({
    clock: systemClock,
    encode: (request, base, call) => {
      if (!call.bases.includes(base)) call.bases.push(base);
      call.fields.text(request);
      if (request === "bad") throw new Error("cannot be written");
      call.entries.text(request);
    },
    call: (_keys, [count], written) => {
      const size = Number(count);
      for (const part of written) expect(part.count).toBe(size);
      const { promise, resolve, reject } = Promise.withResolvers<EntryAnswer[]>();
      calls.push({
        size,
        answer: () => resolve(Array<number>(size).fill(1)),
        fail: () => reject(new Error("lost")),
      });
      return promise;
    },
    onSkewed: () => {},
    onePartition,
  });
  const sizes = () => calls.map(({ size }) => size);
  const submit = (count: number, base = "b") =>
    Array.from({ length: count }, (_, i) => batch.submit(base, `${i}`));
  const submitOne = (request: string) => batch.submit("b", request);
  return { calls, sizes, submit, submitOne };
}

/** After what this turn of the event loop sends. */
async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
}

test("what comes while a call is under way goes out with the next one", async () => {
  const { calls, sizes, submit } = openBatch();
  const first = submit(3);
  await turn();
  const others = [...submit(2), ...submit(5)];
  await turn();
  expect(sizes()).toEqual([3]);
  calls[0]?.answer();
  expect(await Promise.all(first)).toEqual([1, 1, 1]);
  await turn();
  expect(sizes()).toEqual([3, 7]);
  calls[1]?.answer();
  expect(await Promise.all(others)).toEqual(Array(7).fill(1));
});

test("many do not wait for the call that is under way", async () => {
  const { sizes, submit } = openBatch();
  submit(1);
  await turn();
  submit(31);
  await turn();
  expect(sizes()).toEqual([1]);
  submit(70);
  await turn();
  expect(sizes()).toEqual([1, 64, 37]);
});

test("on a cluster partitions do not wait for each other", async () => {
  const { sizes, submit } = openBatch(true);
  submit(2, "a");
  await turn();
  submit(1, "a");
  submit(4, "b");
  await turn();
  expect(sizes()).toEqual([2, 4]);
});

test("after a lost call nothing waits for another one", async () => {
  const { calls, sizes, submit } = openBatch();
  const lost = submit(1);
  await turn();
  submit(1);
  calls[0]?.fail();
  await expect(Promise.all(lost)).rejects.toThrow("lost");
  await turn();
  submit(1);
  await turn();
  expect(sizes()).toEqual([1, 1, 1]);
  calls[2]?.answer();
  await turn();
  submit(1);
  await turn();
  expect(sizes()).toEqual([1, 1, 1]);
});

test("one that cannot be written spoils none of the others", async () => {
  const { calls, sizes, submit, submitOne } = openBatch();
  const before = submit(2);
  const bad = submitOne("bad");
  const after = submit(3);
  await expect(bad).rejects.toThrow("cannot be written");
  await turn();
  expect(sizes()).toEqual([5]);
  calls[0]?.answer();
  expect(await Promise.all([...before, ...after])).toEqual(Array(5).fill(1));
});
