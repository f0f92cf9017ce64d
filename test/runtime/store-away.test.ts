/** Parts of the store are away: what is done for the others goes on, and nothing is given up for it. */
import { expect, test } from "bun:test";
import { pause, systemIds } from "../../src/base/clock.ts";
import { OrchyError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { executionKey } from "../../src/model/ids.ts";
import { Dispatcher } from "../../src/runtime/dispatch/dispatcher.ts";
import { OutboxLoop, outboxPerClaimMax } from "../../src/runtime/loops/outbox-loop.ts";
import { RetentionEnds } from "../../src/runtime/loops/retention-ends.ts";
import { Sweeper, type SweeperOptions } from "../../src/runtime/loops/sweeper.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { hooked } from "../server/unsure-store.ts";
import { idsIn, partitions, start, t0 } from "../store/conformance/subject.ts";
import { HandClock } from "../support/hand-clock.ts";

const clock = new HandClock();
const log = createLogger({ level: "silent", clock, write: () => {} });

test("a message is kept for as long as the store is full or away, and delivered after that", async () => {
  const store = new MemoryStore({ partitions });
  await start(store, "e1", { effects: { messages: [{ id: "m", body: "1" }] } });
  const given: string[] = [];
  let deliveries = 0;
  const loop = new OutboxLoop({
    store,
    clock,
    ids: systemIds,
    log,
    restMs: () => 60_000,
    deliver: async ({ id }) => {
      deliveries += 1;
      if (deliveries <= limits.outboxAttemptsMax) throw new StoreFault("not_applied", "away");
      if (deliveries === limits.outboxAttemptsMax + 1) {
        throw new OrchyError("RESOURCE_EXHAUSTED", "full");
      }
      given.push(id);
      return {};
    },
    giveUp: async ({ id }) => {
      given.push(`not ${id}`);
    },
  });
  loop.start();
  for (let i = 0; i < limits.outboxAttemptsMax + 5; i++) await clock.pass(limits.outboxHideMs + 1);
  expect(given).toEqual(["m"]);
  await loop.stop();
});

test("messages to what is away hold up no others", async () => {
  const store = new MemoryStore({ partitions });
  const ids = idsIn(0, outboxPerClaimMax + 1);
  const message = { effects: { messages: [{ id: "m", body: "1" }] } };
  for (const id of ids) await start(store, id, message);
  const live = ids.at(-1) as string;
  let isDelivered = false;
  const loop = new OutboxLoop({
    store,
    clock,
    ids: systemIds,
    log,
    restMs: () => 60_000,
    deliver: async ({ key }) => {
      if (key.id === live) {
        isDelivered = true;
        return {};
      }
      await pause(1_000, clock);
      throw new StoreFault("not_applied", "away");
    },
    giveUp: async () => {},
  });
  loop.start();
  await clock.pass(5_000);
  expect(isDelivered).toBe(true);
  const stopped = loop.stop();
  await clock.pass(60_000);
  await stopped;
});

test("early retention goes on where a partition is away", async () => {
  const away = 1;
  const inner = new MemoryStore({ partitions });
  for (let i = 0; i < 20; i++) {
    await start(inner, `e${i}`, { effects: { timers: [{ id: "retention", at: t0 + i }] } });
  }
  const store = hooked(inner, {
    listTimers: async (list, _count, request) => {
      if (request.partition === away) throw new StoreFault("not_applied", "away");
      return list(request);
    },
  });
  const { timers } = await new RetentionEnds(store).next([0, 1, 2, 3], 64);
  const there = Array.from({ length: 20 }, (_, i) => executionKey(`e${i}`, partitions));
  const wanted = there.filter(({ partition }) => partition !== away).map(({ id }) => id);
  expect(timers.map(({ key }) => key.id)).toEqual(wanted);
});

test("a sweep passes over a partition that is away", async () => {
  const away = 1;
  const [listed, asked] = [[], []] as [number[], number[]];
  const look = (looks: number[], partition: number) => {
    looks.push(partition);
    if (partition === away) throw new StoreFault("not_applied", "away");
  };
  const store = hooked(new MemoryStore({ partitions }), {
    list: async (list, _count, request) => {
      look(listed, request.partition);
      return list(request);
    },
    queueHints: async (hints, _count, request) => {
      look(asked, request.partition);
      return hints(request);
    },
  });
  const dispatcher = new Dispatcher({ store, clock, ids: systemIds, log, onDue: () => {} });
  dispatcher.open({ queues: ["q/a"], workerId: "w", heartbeatMs: 0, tasksMax: 1, waitMs: 10_000 });
  // No execution is there that a plan or a driver would be needed for.
  const sweeper = new Sweeper({ store, clock, log, dispatcher } as unknown as SweeperOptions);
  for (let i = 0; i < 2 * partitions; i++) await sweeper.sweep().catch(() => {});
  const each = Array.from({ length: partitions }, (_, partition) => partition);
  expect(listed).toEqual([...each, ...each]);
  expect([...new Set(asked)].sort()).toEqual(each);
});
