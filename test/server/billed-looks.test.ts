/** A store whose looks are billed is left alone by servers that have nothing to do. */
import { expect, test } from "bun:test";
import { executionKey } from "../../src/model/ids.ts";
import { preferredServer } from "../../src/runtime/peers/sharing.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { type Store, StoreFault } from "../../src/store/store.ts";
import { HandClock } from "../support/hand-clock.ts";
import {
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";

/** The memory store as one of several servers sees it; `call` comes before each of its calls. */
function seen(
  inner: Store,
  looks: "cheap" | "billed",
  call: (name: string, request: { readonly partition?: number } | undefined) => void,
): Store {
  return new Proxy(inner, {
    get(target, name) {
      if (name === "traits") return { ...target.traits, shared: true, looks };
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function" || name === "close") return value;
      return async (...args: unknown[]) => {
        call(String(name), args[0] as { readonly partition?: number } | undefined);
        return await value.apply(target, args);
      };
    },
  });
}

/** A stop waits for moments of the clock. */
async function remove(server: TestServer, clock: HandClock): Promise<void> {
  let isRemoved = false;
  const removing = server.remove().then(() => {
    isRemoved = true;
  });
  for (; !isRemoved; await clock.pass(1_000)) await new Promise(setImmediate);
  await removing;
}

/** Calls of an idle server in a minute, by operation. */
async function callsOf(looks: "cheap" | "billed"): Promise<ReadonlyMap<string, number>> {
  const calls = new Map<string, number>();
  const store = seen(new MemoryStore({ partitions: 16 }), looks, (name) => {
    calls.set(name, (calls.get(name) ?? 0) + 1);
  });
  const clock = new HandClock();
  const server = await startTestServer({ store: "memory:", parts: { store, clock } });
  await clock.pass(60_000);
  calls.clear();
  await clock.pass(60_000);
  const counted = new Map(calls);
  await remove(server, clock);
  return counted;
}

function total(calls: ReadonlyMap<string, number>): number {
  return [...calls.values()].reduce((sum, count) => sum + count, 0);
}

test("an idle server makes at most five calls a second", async () => {
  const billed = await callsOf("billed");
  expect(total(billed)).toBeLessThanOrEqual(60 * 5);
  // Each partition is looked at all the same, and the server stays alive in the registry.
  for (const look of ["claimDue", "claimOutbox"]) {
    expect(billed.get(look)).toBeGreaterThanOrEqual(3 * 16);
  }
  expect(billed.get("beatServer")).toBeGreaterThanOrEqual(12);
  const cheap = await callsOf("cheap");
  expect(total(cheap)).toBeGreaterThan(5 * total(billed));
});

test("timers of a server that has died fire within 15 seconds", async () => {
  const inner = new MemoryStore({ partitions: 16 });
  const clock = new HandClock();
  let isDead = false;
  const dying = seen(inner, "billed", () => {
    if (isDead) throw new StoreFault("not_applied", "the server is dead");
  });
  const start = (store: Store) => startTestServer({ store: "memory:", parts: { store, clock } });
  const [first, second] = [await start(dying), await start(seen(inner, "billed", () => {}))];
  await clock.pass(30_000);
  const wait = { id: "wait", type: "system", name: "delay", delaySeconds: 20 };
  await saveWorkflow(first, { name: "later", rootAction: "wait", actions: [wait] });
  const ids: string[] = [];
  for (let i = 0; i < 32; i++) ids.push(await startExecution(first, "later"));
  await clock.pass(19_000);
  isDead = true;
  await clock.pass(1_000 + 15_000);
  const ended = await Promise.all(
    ids.map((id) => inner.load({ key: executionKey(id, 16), fields: [] })),
  );
  const open = ended.filter((one) => one.outcome !== "loaded" || one.status !== "COMPLETED");
  expect(open).toEqual([]);
  for (const server of [first, second]) await remove(server, clock);
});

test("the queues of partitions that it looked after are searched within 15 seconds", async () => {
  const inner = new MemoryStore({ partitions: 16 });
  const clock = new HandClock();
  let isDead = false;
  const searched = new Set<number>();
  const dying = seen(inner, "billed", () => {
    if (isDead) throw new StoreFault("not_applied", "the server is dead");
  });
  const staying = seen(inner, "billed", (name, request) => {
    if (isDead && name === "queueHints") searched.add(request!.partition!);
  });
  const start = (store: Store) => startTestServer({ store: "memory:", parts: { store, clock } });
  const [first, second] = [await start(dying), await start(staying)];
  await clock.pass(30_000);
  const ids = [first.self.id, second.self.id];
  const all = Array.from({ length: 16 }, (_, partition) => partition);
  const gained = all.filter((partition) => preferredServer(partition, ids) === first.self.id);
  isDead = true;
  await clock.pass(15_000);
  expect(gained.filter((partition) => !searched.has(partition))).toEqual([]);
  for (const server of [first, second]) await remove(server, clock);
});
