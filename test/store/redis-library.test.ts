/** The library of functions: its parts, and how it comes to a Redis that has not got it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { inOrder, type LuaFile, readLibrary, readLua } from "../../src/store/redis/library.ts";
import type { RedisStore } from "../../src/store/redis/redis-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import {
  type RedisCluster,
  type RedisServer,
  redisMissing,
  startCluster,
  startRedis,
  until,
} from "../support/redis.ts";
import { createRequest, newTask, start, t0 } from "./conformance/subject.ts";
import { openEmptyRedis } from "./redis-targets.ts";

const localNames = /^local (?!function )([\w, ]+?)(?: =.*)?$/gm;

/** What a part names for those that need it. */
function definedIn({ text }: LuaFile): readonly string[] {
  const functions = [...text.matchAll(/^local function (\w+)/gm)].map(([, name = ""]) => name);
  return [...text.matchAll(localNames)]
    .flatMap(([, list = ""]) => list.split(", "))
    .concat(functions);
}

/** Variables, parameters and functions of the file itself. */
function ownNames({ text }: LuaFile): ReadonlySet<string> {
  const locals = text.matchAll(/(?:\blocal|\bfor) (?!function\b)([\w, ]+)/g);
  const functions = text.matchAll(/\bfunction (\w*)\(([\w, ]*)\)/g);
  const lists = [...[...locals], ...[...functions]].flatMap(([, ...found]) => found);
  return new Set(lists.flatMap((list) => list.split(/[, ]+/)));
}

/** Names that the code uses, without comments, texts, fields, and keys of tables. */
function usedIn({ text }: LuaFile): ReadonlySet<string> {
  const code = text.replace(/--.*$/gm, "").replace(/"(?:\\.|[^"\\])*"/g, '""');
  return new Set(code.match(/(?<![.\w])[A-Za-z_]\w*\b/g));
}

test("each Lua file says which parts it needs, and no others", () => {
  const parts = inOrder(readLua("lib"));
  const definers = new Map(
    parts.flatMap((part) => definedIn(part).map((name) => [name, part.name] as const)),
  );
  for (const file of [...parts, ...readLua()]) {
    const own = ownNames(file);
    const used = new Set(
      [...usedIn(file)].flatMap((name) => (own.has(name) ? [] : (definers.get(name) ?? []))),
    );
    const unsaid = [...used].filter((part) => !file.needs.includes(part));
    const unused = file.needs.filter((part) => !used.has(part));
    expect({ file: file.name, unsaid, unused }).toEqual({
      file: file.name,
      unsaid: [],
      unused: [],
    });
  }
});

test("names of parts are not given twice", () => {
  const names = readLua("lib").flatMap(definedIn);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

async function librariesOf({ client }: RedisServer): Promise<readonly string[]> {
  const list = (await client.call("FUNCTION", "LIST")) as readonly (readonly string[])[];
  return list.map((library) => library[1] as string);
}

/** An execution with a queued task, a turn of that through a claim and a commit, and its removal. */
async function liveOnce(store: RedisStore, id: string): Promise<void> {
  const e = await start(store, id, { effects: { tasks: [newTask("t1")] } });
  const worker = { tokenPrefix: `1.${id}`, workerId: "w", heartbeatMs: 0, now: t0 };
  await store.claimTask({ key: e.key, taskId: "t1", ...worker });
  await e.commit({ settle: [{ taskId: "t1", token: `1.${id}.t1` }] });
  const removal = { key: e.key, expected: e.head, tombstoneUntil: t0, now: t0 };
  expect(await store.remove(removal)).toBe("removed");
}

describe.skipIf(redisMissing !== undefined)("one Redis", () => {
  let server: RedisServer;
  let store: RedisStore;

  beforeAll(async () => {
    server = await startRedis();
    store = await openEmptyRedis(`redis://127.0.0.1:${server.port}`, { partitions: 4 });
  });
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  test("that loses its functions is given them again, once for all calls that miss them", async () => {
    const [library = ""] = await librariesOf(server);
    expect(library).toMatch(/^orchy_[0-9a-f]{12}$/);
    await server.client.call("FUNCTION", "FLUSH");
    await server.client.call("CONFIG", "RESETSTAT");
    const partitions = Array.from({ length: 4 }, (_, partition) => partition);
    await Promise.all(partitions.map((partition) => store.queueHints({ partition })));
    expect(await librariesOf(server)).toEqual([library]);
    expect(await server.client.info("commandstats")).toContain("cmdstat_function|load:calls=1,");
    await liveOnce(store, "flushed");
  });

  test("keeps the functions of another version beside", async () => {
    const { text } = readLibrary();
    const [, name = ""] = /^#!lua name=(\w+)/.exec(text) ?? [];
    const other = text
      .replaceAll(name, "orchy_0123456789ab")
      .replace("ENDS_KEPT = 30", "ENDS_KEPT = 0");
    await server.client.call("FUNCTION", "LOAD", other);
    await liveOnce(store, "beside");
    expect([...(await librariesOf(server))].sort()).toEqual([name, "orchy_0123456789ab"].sort());
  });

  test("that is full and has no functions runs the same as scripts: what makes room goes on", async () => {
    const e = await start(store, "full", { effects: { tasks: [newTask("t1")] } });
    await server.client.call("FUNCTION", "FLUSH");
    await server.client.config("SET", "maxmemory", "1mb");
    const worker = { tokenPrefix: "1.f", workerId: "w", heartbeatMs: 0, now: t0 };
    await store.claimTask({ key: e.key, taskId: "t1", ...worker });
    await e.commit({ settle: [{ taskId: "t1", token: "1.f.t1" }] });
    const refused = await store.create(createRequest("more")).catch((error) => error);
    expect(refused).toBeInstanceOf(StoreFault);
    expect([refused.outcome, refused.reason]).toEqual(["not_applied", "exhausted"]);
    const removal = { key: e.key, expected: e.head, tombstoneUntil: t0, now: t0 };
    expect(await store.remove(removal)).toBe("removed");
    expect(await librariesOf(server)).toEqual([]);
    await server.client.config("SET", "maxmemory", "0");
    await liveOnce(store, "room");
    expect((await librariesOf(server)).length).toBe(1);
  });
});

describe.skipIf(redisMissing !== undefined)("a cluster", () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());

  test("has the functions on every node, and is given them where one lost them", async () => {
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    const store = await openEmptyRedis(`redis-cluster://${hosts.join(",")}`, { partitions: 16 });
    const everywhere = async () => {
      const lists = await Promise.all(cluster.nodes.map(librariesOf));
      return lists.every(({ length }) => length === 1);
    };
    await until(everywhere);
    const masters: RedisServer[] = [];
    for (const node of cluster.nodes) {
      if (/role:master/.test(await node.client.info("replication"))) masters.push(node);
    }
    expect(masters.length).toBe(3);
    for (const { client } of masters.slice(1)) await client.call("FUNCTION", "FLUSH");
    for (let partition = 0; partition < 16; partition++) await store.queueHints({ partition });
    await until(everywhere);
    await store.close();
  }, 30_000);
});
