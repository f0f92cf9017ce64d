/** Leases of sources: one server holds one, until it says nothing for a while. */
import { expect, test } from "bun:test";
import type { ServerView } from "../../../src/runtime/shared/orchestrator.ts";
import { SourceLeases } from "../../../src/runtime/sources/leases.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { HandClock } from "../../support/hand-clock.ts";

function storeOf({ shared }: { readonly shared: boolean }): MemoryStore {
  const store = new MemoryStore({ partitions: 4 });
  return Object.assign(store, { traits: { ...store.traits, shared } });
}

const status = {
  state: "running",
  started: 0,
  signalled: 0,
  duplicates: 0,
  deadLetters: 0,
  inFlight: 0,
} as const;
const server = (name: string): ServerView => ({
  id: `id-${name}`,
  name,
  grpcAddress: "",
  httpAddress: "",
  startedAt: 0,
  version: "",
});

function leasesOf(store: MemoryStore) {
  const clock = new HandClock();
  const leases = new SourceLeases({ store, clock, leaseMs: 10_000 });
  const take = (name: string) => leases.take("orders", server(name), status);
  return { clock, leases, take };
}

test("another server gets it when the first one has said nothing for long enough", async () => {
  const { clock, leases, take } = leasesOf(storeOf({ shared: true }));
  expect(await leases.of("orders")).toBeUndefined();
  expect([await take("one"), await take("two")]).toEqual([true, false]);
  await clock.pass(9_999);
  expect([await take("two"), await take("one"), await take("two")]).toEqual([false, true, false]);
  await clock.pass(9_999);
  expect((await leases.of("orders"))?.server).toBe("one");
  await clock.pass(1);
  expect(await leases.of("orders")).toBeUndefined();
  expect([await take("two"), await take("one")]).toEqual([true, false]);
  expect(await leases.of("orders")).toMatchObject({ server: "two", status });
});

test("one that is given back is free at once", async () => {
  const { leases, take } = leasesOf(storeOf({ shared: true }));
  await take("one");
  await leases.release("orders");
  expect(await take("two")).toBe(true);
});

test("of servers that take it at the same moment one gets it", async () => {
  const { take } = leasesOf(storeOf({ shared: true }));
  const taken = await Promise.all(["one", "two", "three"].map(take));
  expect(taken.filter(Boolean)).toHaveLength(1);
});

test("on a store of one server it is not another's", async () => {
  const { take } = leasesOf(storeOf({ shared: false }));
  expect([await take("before"), await take("after")]).toEqual([true, true]);
});
