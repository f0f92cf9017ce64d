/** What is particular to SQLite: its file, its lock, its faults, its backup. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { executionKey } from "../../src/model/ids.ts";
import { openStore } from "../../src/store/open.ts";
import { Places } from "../../src/store/sqlite/places.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import {
  claimDue,
  createRequest,
  Driven,
  handedOff,
  idsIn,
  newTask,
  partitions,
  start,
  t0,
} from "./conformance/subject.ts";
import { temporaryFolder } from "./temporary.ts";

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
const opened: SqliteStore[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "orchy.db");
});

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  folder.remove();
});

function open(changes: Partial<Parameters<typeof openSqliteStore>[0]> = {}): SqliteStore {
  const store = openSqliteStore({ path, partitions, ...changes });
  opened.push(store);
  return store;
}

/** Lets the event loop go on until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** What opening throws, as text. */
function refusal(changes: Parameters<typeof open>[0] = {}): string {
  try {
    open(changes);
  } catch (error) {
    return (error as Error).message;
  }
  return "none";
}

describe("the file of a SQLite store", () => {
  test("everything is there after it is closed and opened again", async () => {
    const first = open();
    const data = new Map([["input", '"ü"']]);
    const effects = { tasks: [newTask("t1")], timers: [{ id: "x", at: t0 }], history: ["1"] };
    const e = await start(first, "e1", { data, effects });
    await e.commit({ hold: true, history: ["2"] });
    await first.putDocument({ kind: "k", id: "d", body: "1", expectedVersion: 0 });
    await first.close();
    const second = open();
    const { key, head } = e;
    expect(await second.load({ key })).toMatchObject({ head, held: true, data });
    expect(await second.history({ key, after: 0, limit: 9 })).toEqual(["1", "2"]);
    expect((await second.holdings(key)).tasks).toMatchObject([{ id: "t1", state: "queued" }]);
    expect(await second.getDocument({ kind: "k", id: "d" })).toMatchObject({ body: "1" });
  });

  test("leases of hand-offs are found after it is opened again", async () => {
    const first = open();
    const { key } = await start(first, "e1", {
      effects: { tasks: [handedOff("t1", "1.n.t1")] },
    });
    await first.close();
    const second = open();
    const { partition } = key;
    expect(await second.queueStats({ partition })).toMatchObject([{ queued: 0, leased: 1 }]);
    expect(await claimDue(second, partition, t0)).toEqual({ items: [], nextDue: t0 + 1_000 });
    expect((await claimDue(second, partition, t0 + 1_000)).items).toMatchObject([
      { kind: "lease", taskId: "t1", token: "1.n.t1" },
    ]);
  });

  test("a second opening is refused until the first is closed", async () => {
    const first = open();
    expect(refusal()).toBe(
      `${path} is in use by another Orchy server; one process at a time can open a SQLite store.`,
    );
    await first.close();
    expect(refusal()).toBe("none");
  });

  test("by whatever name: a symbolic link leads to the file, and to its log and lock", async () => {
    await open().close();
    const link = join(folder.path, "link.db");
    symlinkSync(path, link);
    const store = open({ path: link });
    await start(store, "e1");
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(existsSync(`${link}-wal`)).toBe(false);
    expect(refusal()).toContain("is in use by another Orchy server");
    await store.close();
    const dangling = join(folder.path, "dangling.db");
    symlinkSync(join("new folder", "target.db"), dangling);
    await start(open({ path: dangling }), "e1");
    expect(existsSync(join(folder.path, "new folder", "target.db"))).toBe(true);
  });

  test("by whatever name: a hard link is the same file, and its log belongs to the other name", async () => {
    const elsewhere = join(folder.path, "elsewhere");
    mkdirSync(elsewhere);
    await open().close();
    const [near, far] = [join(folder.path, "near.db"), join(elsewhere, "far.db")];
    for (const name of [near, far]) linkSync(path, name);
    const store = open();
    await start(store, "e1");
    // A separate process, as two servers would be.
    const openThere = async (name: string) => {
      const module = new URL("../../src/store/sqlite/sqlite-store.ts", import.meta.url).pathname;
      const code = `import { openSqliteStore } from ${JSON.stringify(module)};
        await openSqliteStore({ path: ${JSON.stringify(name)} }).close();`;
      const child = Bun.spawn([process.execPath, "-e", code], { stderr: "pipe" });
      return (await child.exited) === 0 ? "opened" : await new Response(child.stderr).text();
    };
    expect(await openThere(far)).toContain(`${far} is in use by another Orchy server`);
    expect(await openThere(near)).toContain(`${near} is another name of ${path}`);
    await store.close();
    expect(await openThere(far)).toBe("opened");
    expect(await openThere(near)).toBe("opened");
  });

  test("is for its own user alone, and one that is not is left with a warning", async () => {
    const mode = (name: string) => (statSync(join(folder.path, name)).mode & 0o777).toString(8);
    path = join(folder.path, "a", "b", "orchy.db");
    const store = open();
    await start(store, "e1");
    expect([mode("a"), mode("a/b")]).toEqual(["700", "700"]);
    const names = readdirSync(join(folder.path, "a/b")).sort();
    expect(names).toEqual(["orchy.db", "orchy.db-shm", "orchy.db-wal", "orchy.db.lock"]);
    for (const name of names) expect([name, mode(`a/b/${name}`)]).toEqual([name, "600"]);
    await store.close();

    chmodSync(path, 0o644);
    const lines: string[] = [];
    const write = (line: string) => lines.push(JSON.parse(line).message);
    open({ log: createLogger({ level: "warn", clock: systemClock, write }) });
    expect(mode("a/b/orchy.db")).toBe("644");
    expect(lines).toEqual([expect.stringContaining("other users of this machine can read")]);
  });

  test("another partition count or namespace is refused, and named", async () => {
    await open().close();
    expect(refusal({ partitions: 8 })).toBe(
      `${path} was made with partitions 4 and cannot be opened with partitions 8.`,
    );
    expect(refusal({ namespace: "other" })).toBe(
      `${path} was made with namespace default and cannot be opened with namespace other.`,
    );
    expect(refusal()).toBe("none");
  });

  test("a newer schema and a foreign database are refused, and left alone", async () => {
    await open().close();
    const newer = new Database(path);
    newer.run("PRAGMA user_version = 99");
    newer.close();
    expect(refusal()).toContain("was written by a newer Orchy (schema 99;");
    path = join(folder.path, "foreign.db");
    const foreign = new Database(path);
    foreign.run("CREATE TABLE theirs (a)");
    foreign.close();
    expect(refusal()).toContain("is a database of another program");
    const after = new Database(path);
    expect(after.query("SELECT name FROM sqlite_schema").values()).toEqual([["theirs"]]);
    expect(after.query("PRAGMA journal_mode").values()).toEqual([["delete"]]);
    after.close();
  });

  test("a refused opening lets go of the lock", async () => {
    await open().close();
    expect(refusal({ partitions: 8 })).not.toBe("none");
    expect(refusal()).toBe("none");
  });

  test("what is written is acknowledged when a later sync has ended, not before", async () => {
    const ends: ((error: null) => void)[] = [];
    const syncAside = (_file: number, callback: (error: null) => void) => ends.push(callback);
    // No time passes: what is submitted together is written together, on a slow machine too.
    const clock = { ...systemClock, now: () => 0 };
    const store = open({ clock, disk: { sync() {}, syncAside } });
    const answers: string[] = [];
    const create = (id: string) =>
      store.create(createRequest(id)).then(({ outcome }) => answers.push(`${id} ${outcome}`));
    const first = create("e1");
    const read = store.load({ key: createRequest("e1").key }).then((answer) => {
      answers.push(`read ${answer.outcome}`);
    });
    await until(() => ends.length === 1);
    expect(answers).toEqual([]);
    // What is written during a sync waits for the next one.
    const second = Promise.all([create("e2"), create("e3")]);
    ends[0]!(null);
    await Promise.all([first, read]);
    expect(answers).toEqual(["e1 created", "read loaded"]);
    await until(() => ends.length === 2);
    ends[1]!(null);
    await second;
    expect(answers.slice(2)).toEqual(["e2 created", "e3 created"]);
  });

  test("a disk that does not keep the log is not written to again", async () => {
    let broken = false;
    const fault = new Error("EIO: i/o error");
    const store = open({
      disk: {
        sync() {
          if (broken) throw fault;
        },
        syncAside: (_file, callback) => callback(broken ? fault : null),
      },
    });
    const { key } = createRequest("e1");
    expect((await store.create(createRequest("e1"))).outcome).toBe("created");
    broken = true;
    const failed = await store.create(createRequest("e2")).catch((error: unknown) => error);
    expect(failed).toMatchObject({ outcome: "unknown" });
    const refused = await store.load({ key }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ outcome: "not_applied" });
    expect((refused as Error).message).toContain("start the server anew");
  });
});

describe("a full disk", () => {
  const large = JSON.stringify("x".repeat(40_000));

  async function fill(store: SqliteStore): Promise<StoreFault> {
    for (let i = 0; i < 100; i++) {
      const data = new Map([["f", large]]);
      try {
        await store.create(createRequest(`fill${i}`, { data }));
      } catch (error) {
        return error as StoreFault;
      }
    }
    throw new Error("The disk never filled up.");
  }

  test("writes are refused as exhausted, reads go on, and writes do once there is room", async () => {
    const store = open({ pagesMax: 200 });
    const e = await start(store, "e1", { data: new Map([["f", large]]) });
    const fault = await fill(store);
    expect(fault.name).toBe("StoreFault");
    expect([fault.outcome, fault.reason]).toEqual(["not_applied", "exhausted"]);
    expect((await store.pressure()).used).toBeGreaterThan(0.8);
    expect((await store.load({ key: e.key })).outcome).toBe("loaded");
    const { key, head: expected } = e;
    const removal = { key, expected, tombstoneUntil: t0, now: t0 };
    expect(await store.remove(removal)).toBe("removed");
    const again = createRequest("e2", { data: new Map([["f", large]]) });
    expect((await store.create(again)).outcome).toBe("created");
    expect((await store.load({ key: again.key })).outcome).toBe("loaded");
  });

  test("what is removed makes nearly all of its room free at once", async () => {
    const store = open({ pagesMax: 1_000 });
    const data = new Map([["f", JSON.stringify("x".repeat(600))]]);
    const ids = Array.from({ length: 1_500 }, (_, i) => `e${i}`);
    const all = await Promise.all(ids.map((id) => start(store, id, { data })));
    const before = (await store.pressure()).used;
    const removals = all.map(({ key, head: expected }) =>
      store.remove({ key, expected, tombstoneUntil: t0 + 1, now: t0 }),
    );
    expect(new Set(await Promise.all(removals))).toEqual(new Set(["removed"]));
    expect((await store.pressure()).used).toBeLessThan(before * 0.4);
  });

  test("pressure is the share of what the disk lets the file grow to", async () => {
    const store = open();
    await start(store, "e1", { data: new Map([["f", large]]) });
    const { bavail, bsize } = await statfs(folder.path);
    const { used } = await store.pressure();
    const usedBytes = used * (bavail * bsize - limits.diskReservedBytes);
    expect(usedBytes).toBeGreaterThan(large.length);
    expect(usedBytes).toBeLessThan(20 * large.length);
  });

  test("of a group, only the operations that find no room fail", async () => {
    const store = open({ pagesMax: 200 });
    await fill(store);
    const small = Array.from({ length: 3 }, (_, i) => createRequest(`small${i}`));
    const big = createRequest("big", {
      data: new Map([
        ["a", large],
        ["b", large],
      ]),
    });
    const answers = await Promise.allSettled(
      [small[0]!, big, small[1]!, small[2]!].map((request) => store.create(request)),
    );
    const statuses = answers.map((answer) => answer.status);
    expect(statuses).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await store.load({ key: big.key })).toEqual({ outcome: "not_found" });
    expect((await store.load({ key: small[2]!.key })).outcome).toBe("loaded");
  });

  test("a failed commit leaves the head as it was", async () => {
    const store = open({ pagesMax: 200 });
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    await fill(store);
    const data = new Map(["a", "b", "c"].map((name) => [name, large]));
    const request = e.request({ data, state: '"lost"', status: "FAILED" });
    await expect(store.commit(request)).rejects.toMatchObject({ outcome: "not_applied" });
    expect(await store.load({ key: e.key })).toMatchObject({ head: e.head, state: "{}" });
    // Nor is the lease of a hand-off forgotten with what was rolled back.
    const settle = [{ taskId: "t1", token: "1.n.t1" }];
    const failing = store.commit(e.request({ data, settle, tasks: [handedOff("t2", "1.n.t2")] }));
    await expect(failing).rejects.toMatchObject({ outcome: "not_applied" });
    expect((await claimDue(store, e.key.partition, t0 + 1_000)).items).toMatchObject([
      { taskId: "t1", token: "1.n.t1" },
    ]);
    await e.commit({ state: '"kept"', settle });
    expect(await store.load({ key: e.key })).toMatchObject({ state: '"kept"', data: new Map() });
  });
});

describe("counters that are used up", () => {
  const bigEntry = (text: string) => JSON.stringify(`${text}${"x".repeat(2_100)}`);
  const change = (sql: string) => {
    const database = new Database(path);
    database.run(sql);
    database.close();
  };

  test("of a history that is full, the latest entry is kept in the last place", async () => {
    const full = 2 ** 20 - 1;
    let store = open();
    await start(store, "e1", { effects: { history: [bigEntry("begin")] } });
    await store.close();
    change(`UPDATE states SET history = ${full - 1}`);
    store = open();
    const key = executionKey("e1", store.partitions);
    const neighbour = await start(store, "e2", { effects: { history: [bigEntry("next")] } });
    const loaded = await store.load({ key });
    if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
    const e = new Driven(store, key, loaded.head);
    for (const text of ["last but two", "last but one"]) {
      await e.commit({ history: [bigEntry(text), '"small"'] });
    }
    await e.commit({ history: ['"end"'] });
    const read = (after: number) => store.history({ key, after, limit: 9 });
    expect(await read(0)).toEqual([bigEntry("begin"), '"small"', '"end"']);
    expect(await read(full)).toEqual(['"end"']);
    expect(await read(full + 1)).toEqual([]);
    const others = await store.history({ key: neighbour.key, after: 0, limit: 9 });
    expect(others).toEqual([bigEntry("next")]);
    const { head: expected } = e;
    const removal = { key, expected, tombstoneUntil: t0, now: t0 };
    expect(await store.remove(removal)).toBe("removed");
    expect(await store.history({ key: neighbour.key, after: 0, limit: 9 })).toEqual(others);
  });

  test("histories of executions beyond the 2^33rd stay apart", async () => {
    let store = open();
    await start(store, "e0");
    await store.close();
    change(`UPDATE executions SET number = ${2 ** 33 + 1}`);
    change(`UPDATE states SET execution = ${2 ** 33 + 1}`);
    store = open();
    const texts = (id: string) => Array.from({ length: 5 }, (_, i) => bigEntry(`${id}-${i}`));
    const ids = ["e1", "e2", "e3"];
    const all = await Promise.all(
      ids.map((id) => start(store, id, { effects: { history: texts(id) } })),
    );
    const read = (id: string, after = 0) =>
      store.history({ key: executionKey(id, store.partitions), after, limit: 9 });
    for (const id of ids) {
      expect(await read(id)).toEqual(texts(id));
      expect(await read(id, 3)).toEqual(texts(id).slice(3));
    }
    const { key, head: expected } = all[1]!;
    expect(await store.remove({ key, expected, tombstoneUntil: t0, now: t0 })).toBe("removed");
    expect([await read("e1"), await read("e3")]).toEqual([texts("e1"), texts("e3")]);
  });

  test("places go on in a range that no other opening counts in", () => {
    const database = new Database(":memory:");
    database.run("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
    const first = new Places(database, 3);
    expect(Array.from({ length: 7 }, () => first.next())).toEqual([3, 4, 5, 6, 7, 8, 9]);
    const second = new Places(database, 3);
    expect([second.next(), first.next(), first.next(), first.next()]).toEqual([12, 10, 11, 15]);
    database.close();
  });
});

test("operations wait while another process locks the file for a moment", async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "orchy.db");
  const store = openSqliteStore({ path, partitions });
  const other = new Database(path);
  other.run("BEGIN IMMEDIATE");
  setTimeout(() => other.run("ROLLBACK"), 20);
  expect((await store.create(createRequest("e1"))).outcome).toBe("created");
  other.run("BEGIN IMMEDIATE");
  const refused = await store.create(createRequest("e2")).catch((error: unknown) => error);
  expect(refused).toMatchObject({ outcome: "not_applied", reason: "unavailable" });
  other.close();
  expect((await store.create(createRequest("e2"))).outcome).toBe("created");
  await store.close();
  folder.remove();
});

describe("a backup", () => {
  const script = new URL("../../scripts/backup.ts", import.meta.url).pathname;

  async function backup(...paths: readonly string[]): Promise<{ code: number; said: string }> {
    const child = Bun.spawn([process.execPath, script, ...paths], {
      stdout: "ignore",
      stderr: "pipe",
    });
    const said = await new Response(child.stderr).text();
    return { code: await child.exited, said: said.trim() };
  }

  test("is a store of its own, taken while another process works on the file", async () => {
    const store = open();
    const e = await start(store, "e1", { data: new Map([["f", '"before"']]) });
    const copy = join(folder.path, "it's a copy.db");
    const backing = backup(path, copy);
    let started = 0;
    const ended = backing.then(() => true);
    const isOver = () => Promise.race([ended, new Promise((resolve) => setImmediate(resolve))]);
    while ((await isOver()) !== true) await start(store, `busy${started++}`);
    expect(await backing).toEqual({ code: 0, said: "" });
    await e.commit({ data: new Map([["f", '"after"']]) });
    const restored = open({ path: copy });
    const loaded = await restored.load({ key: e.key });
    expect(loaded).toMatchObject({ data: new Map([["f", '"before"']]) });
    expect((await start(restored, "new")).head.revision).toBe(1);
  });

  test("is whole when it is taken in steps from a file that changes all the time", async () => {
    const store = open();
    const filler = JSON.stringify("x".repeat(10_000));
    const state = (n: number) => JSON.stringify({ n, filler });
    const data = (n: number) => new Map([["f", JSON.stringify([n, filler])]]);
    const all = await Promise.all(
      Array.from({ length: 400 }, (_, i) =>
        start(store, `e${i}`, { state: state(0), data: data(0) }),
      ),
    );
    const module = new URL("../../src/store/sqlite/backup.ts", import.meta.url).pathname;
    for (let tries = 0, copies = 0; copies < 3; tries++) {
      const copy = join(folder.path, `steps-${tries}.db`);
      writeFileSync(copy, "");
      const code = `import { copyInSteps } from ${JSON.stringify(module)};
        console.log(await copyInSteps(${JSON.stringify(path)}, ${JSON.stringify(copy)}));`;
      const child = Bun.spawn([process.execPath, "-e", code], { stderr: "inherit" });
      let isOver = false;
      const over = child.exited.then(() => {
        isOver = true;
      });
      let n = 0;
      const log: number[] = [];
      for (; !isOver; n++) {
        const some = all.filter((_, i) => (i + n) % 7 === 0);
        await Promise.all(some.map((one) => one.commit({ state: state(n), data: data(n) })));
        log.push(statSync(`${path}-wal`).size);
      }
      await over;
      const outcome = (await new Response(child.stdout).text()).trim();
      expect(outcome).toMatch(/^(true|false)$/);
      expect(Math.max(...log)).toBeLessThan(2 * limits.logBytesMax);
      // A process that gets little time may not keep up with the log.
      if (outcome === "false") continue;
      copies += 1;

      const raw = new Database(copy);
      expect(raw.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
      raw.close();
      const restored = openSqliteStore({ path: copy, partitions });
      for (const { key } of all) {
        const loaded = await restored.load({ key });
        if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
        const [inData] = JSON.parse(loaded.data.get("f") as string) as [number, string];
        expect(JSON.parse(loaded.state).n).toBe(inData);
      }
      await restored.close();
    }
  }, 120_000);

  test("is taken of a store that no server works on", async () => {
    const store = open();
    const e = await start(store, "e1");
    await store.close();
    const copy = join(folder.path, "copy.db");
    expect(await backup(path, copy)).toEqual({ code: 0, said: "" });
    expect(await open({ path: copy }).load({ key: e.key })).toMatchObject({ head: e.head });
  });

  test("does not overwrite a file, and says what is wrong", async () => {
    await start(open(), "e1");
    const copy = join(folder.path, "copy.db");
    expect((await backup(path, copy)).code).toBe(0);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const before = statSync(copy).mtimeMs;
    expect(await backup(path, copy)).toEqual({
      code: 1,
      said: `${copy} exists already; a backup is made to a new file.`,
    });
    expect(statSync(copy).mtimeMs).toBe(before);
    expect(await backup("absent.db", copy)).toEqual({
      code: 1,
      said: "There is no file absent.db.",
    });
    expect((await backup(path)).said).toStartWith("Usage: ");
    const nowhere = join(folder.path, "absent", "copy.db");
    const failed = await backup(path, nowhere);
    expect([failed.code, existsSync(nowhere)]).toEqual([1, false]);
    expect(failed.said).toStartWith(`The backup of ${path} failed: `);
  });

  test("that is killed leaves no file of its name", async () => {
    const store = open();
    const data = new Map([["f", JSON.stringify("x".repeat(200_000))]]);
    for (let i = 0; i < 100; i++) await start(store, `e${i}`, { data });
    await store.close();
    const copy = join(folder.path, "copy.db");
    const child = Bun.spawn([process.execPath, script, path, copy], { stdio: [null, null, null] });
    await until(() => existsSync(copy) || existsSync(`${copy}.part`));
    child.kill("SIGKILL");
    await child.exited;
    // Where it was faster than the kill, its copy is whole.
    const whole = existsSync(copy) ? copy : join(folder.path, "again.db");
    if (whole !== copy) expect((await backup(path, whole)).code).toBe(0);
    const last = await open({ path: whole }).load({ key: createRequest("e99").key });
    expect(last.outcome).toBe("loaded");
    // What a killed one left is replaced.
    if (whole === copy) return;
    expect((await backup(path, copy)).code).toBe(0);
    expect(existsSync(`${copy}.part`)).toBe(false);
  }, 120_000);
});

describe("keeping house", () => {
  test("the write-ahead log stays short under load", async () => {
    const store = open();
    const text = JSON.stringify("x".repeat(2_000));
    const e = await Promise.all(
      Array.from({ length: 64 }, (_, i) => start(store, `e${i}`, { state: text })),
    );
    let longest = 0;
    for (let round = 0; round < 800; round++) {
      await Promise.all(e.map((one) => one.commit({ state: text, history: [text] })));
      longest = Math.max(longest, statSync(`${path}-wal`).size);
    }
    const written = 800 * 64 * 2 * text.length;
    expect(longest).toBeLessThan(written / 2);
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  }, 120_000);

  test("a reader that stays makes the log grow slowly, and a copy of all of it holds nothing up", async () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(JSON.parse(line).message);
    const log = createLogger({ level: "warn", clock: systemClock, write });
    const store = open({ log });
    const text = JSON.stringify("x".repeat(100_000));
    const e = await Promise.all(
      Array.from({ length: 64 }, (_, i) => start(store, `e${i}`, { state: text })),
    );
    const reader = new Database(path);
    reader.run("BEGIN");
    reader.query("SELECT count(*) FROM executions").values();
    const round = () => Promise.all(e.map((one) => one.commit({ state: text })));
    const bytesPerRound = 64 * text.length;
    while (store.logBytes() <= limits.logBytesMax) await round();
    const [startedAt, logBytes] = [performance.now(), store.logBytes()];
    let rounds = 0;
    for (; performance.now() - startedAt < 2_000; rounds++) await round();
    const seconds = (performance.now() - startedAt) / 1_000;
    const growth = store.logBytes() - logBytes;
    // Each round may be what is waited for next.
    expect(growth).toBeLessThan(seconds * limits.logBytesPerSecond + 3 * bytesPerRound);
    expect(rounds).toBeGreaterThan(0);
    expect(await store.pressure()).toMatchObject({ removalHelps: false });
    expect(store.complaint()).toContain("holds back its write-ahead log");
    reader.run("ROLLBACK");
    reader.close();
    while (store.logBytes() > limits.logBytesMax) await round();
    expect(store.complaint()).toBeUndefined();
    expect(await store.pressure()).toMatchObject({ removalHelps: true });
    expect(lines).toEqual([
      expect.stringMatching(/^the write-ahead log is beyond its bound, as another process reads/),
      "the write-ahead log is within its bound again",
    ]);
    await store.close();
  }, 120_000);

  test("a closed store refuses calls, and finishes what was asked before", async () => {
    const store = open();
    const created = store.create(createRequest("e1"));
    const closed = store.close();
    const late = store.create(createRequest("e2")).catch((error: unknown) => error);
    expect((await created).outcome).toBe("created");
    expect(await late).toMatchObject({
      outcome: "not_applied",
      message: "The store is closed.",
    });
    await closed;
    opened.splice(0);
  });
});

describe("the URL of a store", () => {
  const options = { partitions, namespace: "default" };

  test("names memory or a SQLite file", async () => {
    const memory = await openStore("memory:", options);
    expect([memory.traits.name, memory.partitions]).toEqual(["memory", partitions]);
    const sqlite = await openStore(`sqlite:${path}`, options);
    expect(sqlite.traits.name).toBe("sqlite");
    await start(sqlite, "e1");
    await sqlite.close();
    expect(existsSync(path)).toBe(true);
  });

  test("is refused with one sentence when it names anything else", async () => {
    const sentences = {
      "mysql://secret@host": 'There is no store of the kind "mysql"; use',
      "orchy.db": 'There is no store of the kind ""; use',
      "sqlite:": "The store sqlite: names no file; write sqlite:PATH.",
      "memory:x": "The store memory: takes no path.",
    };
    for (const [url, sentence] of Object.entries(sentences)) {
      await expect(openStore(url, options)).rejects.toThrow(sentence);
    }
  });
});

test("executions of earlier versions are entered into the index of pairs, a few at a time", async () => {
  const store = open();
  const ids = idsIn(1, 40);
  for (const [i, id] of ids.entries()) {
    const status = i % 4 < 2 ? "FAILED" : "COMPLETED";
    const workflow = i % 2 === 0 ? "orders" : "others";
    const listing = { id, workflow, version: 1, status, startedAt: t0 + i } as const;
    await start(store, id, { listing });
  }
  await store.close();
  const file = new Database(path);
  file.run("UPDATE executions SET is_paired = NULL");
  file.run("DELETE FROM settings WHERE name = 'unpaired_below'");
  const columns = "partition, workflow, started_at";
  file.run(`CREATE INDEX executions_workflow ON executions (${columns})
    WHERE tombstone_until IS NULL`);
  file.close();
  const again = open();
  const request = { partition: 1, workflow: "orders", status: "FAILED", limit: 4 } as const;
  const expected = ids
    .filter((_, i) => i % 4 === 0)
    .reverse()
    .slice(0, 4);
  const list = async () => {
    const { items, looked } = await again.list({ ...request, lookMax: 40 });
    expect(items.map(({ id }) => id)).toEqual(expected);
    return looked;
  };
  expect(await list()).toBe(8);
  for (let i = 0; i < 4; i++) {
    expect(await again.indexExecutions({ limit: 10 })).toBe("more");
    expect(await list()).toBe(8);
  }
  const idsOf = async (from: SqliteStore) =>
    (await from.list({ partition: 1, workflow: "orders", limit: 12 })).items.map(({ id }) => id);
  const newest = ids.filter((_, i) => i % 2 === 0).reverse();
  expect(await idsOf(again)).toEqual(newest.slice(0, 12));
  expect(await again.indexExecutions({ limit: 10 })).toBe("done");
  expect(await list()).toBe(4);
  expect(await idsOf(again)).toEqual(newest.slice(0, 12));
  await again.close();

  const third = open();
  expect(await idsOf(third)).toEqual(newest.slice(0, 12));
  await third.close();
  const indexes = new Database(path);
  const named = indexes.query("SELECT name FROM sqlite_schema WHERE type = 'index'").values();
  indexes.close();
  // Which each start of an execution would have to keep.
  expect(named.flat()).not.toContain("executions_workflow");
});
