import { expect, test } from "bun:test";
import { Gate } from "../../../src/runtime/shared/gate.ts";

function steps() {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (n: number) => async () => {
    begun.push(n);
    await new Promise<void>((resolve) => {
      ends[n] = resolve;
    });
    return n;
  };
  return { begun, ends, work };
}

test("so many are inside at once, and the others follow in order", async () => {
  const { begun, ends, work } = steps();
  const gate = new Gate(2);
  const all = Promise.all([0, 1, 2, 3].map((n) => gate.pass(work(n))));
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1]);
  ends[1]!();
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1, 2]);
  ends[0]!();
  await Bun.sleep(0);
  expect(begun).toEqual([0, 1, 2, 3]);
  ends[2]!();
  ends[3]!();
  expect(await all).toEqual([0, 1, 2, 3]);
});

test("who is gone when the turn comes is left out, and work that fails makes room", async () => {
  const { begun, ends, work } = steps();
  const gate = new Gate(1);
  const gone = new AbortController();
  const failing = gate.pass(async () => {
    await Bun.sleep(1);
    throw new Error("broken");
  });
  const left = gate.pass(work(0), gone.signal);
  const last = gate.pass(work(1));
  gone.abort();
  expect(await Promise.allSettled([failing, left])).toMatchObject([
    { reason: { message: "broken" } },
    { reason: { code: "UNAVAILABLE" } },
  ]);
  await Bun.sleep(0);
  expect(begun).toEqual([1]);
  ends[1]!();
  expect(await last).toBe(1);
});
