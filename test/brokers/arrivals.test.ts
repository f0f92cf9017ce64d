/** Messages that wait until they are asked for, and those who wait for messages. */
import { expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import { systemClock } from "../../src/base/clock.ts";
import { Arrivals } from "../../src/brokers/arrivals.ts";
import { BrokerFault } from "../../src/brokers/message.ts";

const options = { clock: systemClock, max: 2, bytesMax: 100, onFull() {}, onRoom() {} };

test("waits that are over leave nothing at the signal that would have ended them", async () => {
  const arrivals = new Arrivals(options);
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) await arrivals.take({ limit: 1, waitMs: 1, signal });
  expect(getEventListeners(signal, "abort").length).toBe(0);
});

test("a failure is thrown at once, and then by each wait, until the broker is there", async () => {
  const arrivals = new Arrivals(options);
  const { signal } = new AbortController();
  const take = (waitMs: number) => arrivals.take({ limit: 1, waitMs, signal });
  arrivals.fail(new BrokerFault("away", { permanent: false }));
  await expect(take(60_000)).rejects.toThrow("away");
  await expect(take(1)).rejects.toThrow("away");
  await expect(take(1)).rejects.toThrow("away");
  arrivals.fail(new BrokerFault("still away", { permanent: false }));
  await expect(take(60_000)).rejects.toThrow("still away");
  // Who waits at that moment learns it at once.
  const waiting = take(60_000);
  arrivals.recover();
  expect(await waiting).toEqual([]);
});

test("an abort ends a wait", async () => {
  const arrivals = new Arrivals(options);
  const abort = new AbortController();
  const taken = arrivals.take({ limit: 1, waitMs: 60_000, signal: abort.signal });
  expect(getEventListeners(abort.signal, "abort").length).toBe(1);
  abort.abort();
  expect(await taken).toEqual([]);
});
