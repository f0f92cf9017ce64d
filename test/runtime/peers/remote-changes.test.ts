/** Servers on one store hear of changes to what they watch, and look rarely at what does not change. */
import { expect, test } from "bun:test";
import { systemIds } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import { Notes } from "../../../src/runtime/peers/notes.ts";
import {
  RemoteChanges,
  watchedFirstLookMs,
  watchedRestMs,
  watchedTellMs,
} from "../../../src/runtime/peers/remote-changes.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { HandClock } from "../../support/hand-clock.ts";

const partitions = 4;

/** Servers on one store, whose notes reach all of them at once. */
function newServers(count: number, format = 3) {
  const clock = new HandClock();
  const notes: string[] = [];
  const servers: RemoteChanges[] = [];
  const ears: Notes[] = [];
  const memory = new MemoryStore({ partitions });
  const store = Object.assign(Object.create(memory) as MemoryStore, {
    partitions,
    traits: { ...memory.traits, shared: true },
    async sendNote(_partition: number, text: string) {
      notes.push(text.split("\0")[0]!);
      for (const ear of ears) ear.heard(text);
    },
  });
  const formats = { written: () => format, readByAll: () => format };
  for (let i = 0; i < count; i++) {
    const ear = new Notes({ store, ids: systemIds, hasPeers: () => true });
    ears.push(ear);
    servers.push(new RemoteChanges({ store, clock, notes: ear, formats }));
  }
  return { clock, notes, servers };
}

const key = executionKey("e1", partitions);

test("a watcher looks twice, then rests, and looks when another server has changed it", async () => {
  const { clock, notes, servers } = newServers(3);
  const [one, other, third] = servers as [RemoteChanges, RemoteChanges, RemoteChanges];
  let looks = 0;
  const stop = one.follow(key, async () => void looks++);
  expect(notes).toEqual([]);
  await clock.pass(watchedFirstLookMs);
  expect([looks, notes]).toEqual([1, ["watched"]]);
  await clock.pass(limits.watchedLookMs);
  expect(looks).toBe(2);
  await clock.pass(watchedRestMs - 10);
  expect(looks).toBe(2);
  other.committed(key, false);
  other.committed(key, false);
  third.committed(executionKey("nobody-watches", partitions), true);
  await clock.pass(1);
  expect([looks, notes]).toEqual([3, ["watched", "changed"]]);
  stop();
  await clock.pass(watchedRestMs);
  other.committed(key, false);
  await clock.pass(1);
  expect(looks).toBe(3);
  // Nobody watches any longer: that is forgotten.
  await clock.pass(3 * watchedTellMs);
  const told = notes.length;
  other.committed(key, false);
  await clock.pass(1);
  expect(notes.length).toBe(told);
});

test("what lasts is told again; what is over at once, and changes of this server, tell nothing", async () => {
  const { clock, notes, servers } = newServers(2);
  const [one] = servers as [RemoteChanges, RemoteChanges];
  one.follow(key, async () => {})();
  await clock.pass(watchedTellMs + 1);
  expect(notes).toEqual([]);
  one.follow(key, async () => {});
  await clock.pass(watchedTellMs + 1);
  one.committed(key, false);
  await clock.pass(1);
  expect(notes).toEqual(["watched", "watched"]);
  for (const server of servers) server.close();
});

test("beside servers that tell nothing, watchers go on looking often", async () => {
  const { clock, servers } = newServers(1, 2);
  let looks = 0;
  servers[0]!.follow(key, async () => void looks++);
  await clock.pass(watchedFirstLookMs);
  for (let i = 0; i < 10; i++) await clock.pass(limits.watchedLookMs);
  expect(looks).toBe(11);
});

test("who waits for the end looks when it has come, and not at each step before", async () => {
  const { clock, notes, servers } = newServers(2);
  const [one, other] = servers as [RemoteChanges, RemoteChanges];
  let looks = 0;
  one.follow(key, async () => void looks++, { awaitsEnd: true });
  await clock.pass(watchedFirstLookMs);
  await clock.pass(limits.watchedLookMs);
  other.committed(key, false);
  await clock.pass(1);
  expect([looks, notes]).toEqual([2, ["watched", "changed"]]);
  other.committed(key, true);
  await clock.pass(1);
  expect([looks, notes]).toEqual([3, ["watched", "changed", "ended"]]);
});
