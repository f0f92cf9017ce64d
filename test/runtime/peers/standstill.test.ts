/** When deadlines are held back, and for how long. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { Standstill } from "../../../src/runtime/peers/standstill.ts";
import type { Logger } from "../../../src/telemetry/log.ts";
import { HandClock } from "../../support/hand-clock.ts";

const { standstillMs, standstillMsMin } = limits;
let clock: HandClock;
let log: Logger;
let standstill: Standstill;
const lines: unknown[] = [];

beforeEach(() => {
  clock = new HandClock();
  const warn = (_: string, more: unknown) => void lines.push(more);
  log = { debug() {}, info() {}, warn, error() {}, with: () => log };
  standstill = new Standstill({ clock, log });
  standstill.start();
  lines.length = 0;
});
afterEach(() => standstill.stop());

/** No timer is called meanwhile. */
const stand = (ms: number) => {
  clock.elapsedMs += ms;
};

test("a server that runs holds nothing back, however late it is at times", async () => {
  await clock.pass(60_000);
  stand(standstillMsMin - 1);
  expect(standstill.delayOf(clock.now())).toBeUndefined();
  expect(standstill.lateMs()).toBe(0);
  expect(lines).toEqual([]);
});

test("what became due during a standstill is held for as long as it lasted, what was before is not", async () => {
  await clock.pass(1_000);
  const began = clock.now();
  stand(3_000);
  // Before the standstill's own timer is called.
  expect(standstill.delayOf(began - 1)).toBeUndefined();
  expect(standstill.delayOf(began)).toBeDefined();
  expect(standstill.lateMs()).toBe(3_000);
  await clock.pass(2_999);
  expect(standstill.delayOf(began + 3_000)).toBeDefined();
  expect(standstill.lateMs()).toBe(5_999);
  const held = standstill.delayOf(began);
  await clock.pass(1);
  await held;
  expect(standstill.delayOf(began)).toBeUndefined();
  expect(standstill.lateMs()).toBe(0);
  expect(lines).toEqual([{ ms: 3_000, delayMs: 3_000 }]);
});

test("a long one holds back for a bounded time; another one in that time goes on with it", async () => {
  const began = clock.now();
  stand(60_000);
  const held = standstill.delayOf(began);
  const most = standstillMs - limits.standstillLookMs;
  await clock.pass(most);
  stand(2_000);
  await clock.pass(1_999);
  expect(await Promise.race([held, Promise.resolve("not yet")])).toBe("not yet");
  expect(standstill.delayOf(began)).toBe(held);
  expect(standstill.lateMs()).toBe(60_000 + most + 3_999);
  await clock.pass(1);
  await held;
  expect(standstill.delayOf(began)).toBeUndefined();
});

test("a clock that is set forward makes as much due; set back it holds nothing for longer", async () => {
  const set = Object.assign(clock, { elapsed: () => clock.elapsedMs });
  standstill.stop();
  standstill = new Standstill({ clock, log });
  standstill.start();
  const began = clock.now();
  set.shiftMs = 3_600_000;
  expect(standstill.delayOf(began)).toBeDefined();
  // No time has passed: a lease that were moved by this clock would last for an hour.
  expect(standstill.lateMs()).toBe(0);
  set.shiftMs = 0;
  await clock.pass(standstillMs);
  expect(standstill.delayOf(began)).toBeUndefined();
  expect(standstill.lateMs()).toBe(0);
});

test("a store that does not answer, or fails, holds back what became due meanwhile", async () => {
  const answer = Promise.withResolvers<void>();
  const began = clock.now();
  const slow = standstill.ask(0, () => answer.promise);
  await clock.pass(standstillMsMin);
  // One that never returns holds nothing back: others go on.
  await standstill.ask(1, async () => {});
  expect(standstill.delayOf(began)).toBeUndefined();
  answer.resolve();
  await slow;
  expect(standstill.delayOf(began)).toBeDefined();
  expect(standstill.lateMs()).toBe(standstillMsMin);
  await clock.pass(standstillMsMin);
  expect(standstill.delayOf(began)).toBeUndefined();

  const failed = clock.now();
  for (let i = 0; i < 8; i++) {
    await standstill.ask(0, () => Promise.reject(new Error("away"))).catch(() => {});
    await clock.pass(1_000);
    // Another partition goes on.
    await standstill.ask(1, async () => {});
    expect(standstill.delayOf(failed)).toBeUndefined();
  }
  await standstill.ask(0, async () => {});
  expect(standstill.delayOf(failed - 1)).toBeUndefined();
  expect(standstill.delayOf(failed)).toBeDefined();
  await clock.pass(standstillMs);
  expect(standstill.delayOf(failed)).toBeUndefined();
  // Nothing of the store that failed: another line says that it was away.
  expect(lines).toEqual([{ ms: standstillMsMin, delayMs: standstillMsMin }]);
});

test("how late a heartbeat may be is a whole number, as the time that passes is none", async () => {
  stand(3_000.75);
  expect(standstill.lateMs()).toBe(3_000);
});
