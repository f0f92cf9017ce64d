/** A SQLite store on a real disk that is full: a small file system, filled to the last byte. */

import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { Ballast } from "../../src/store/sqlite/ballast.ts";
import { DiskSpace, shareDisk } from "../../src/store/sqlite/disk-space.ts";
import { isOutOfSpace } from "../../src/store/sqlite/full.ts";
import { Housekeeper } from "../../src/store/sqlite/housekeeper.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { until } from "../support/redis.ts";
import { disksMissing, makeSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { createRequest, type Driven, partitions, start, t0 } from "./conformance/subject.ts";
import { temporaryFolder } from "./temporary.ts";

if (disksMissing !== undefined) console.log(`SKIPPED full disks: ${disksMissing}`);

const text = JSON.stringify("x".repeat(20_000));
const data = new Map([["f", text]]);

describe.skipIf(disksMissing !== undefined)("a full disk", () => {
  let disk: SmallDisk;
  let store: SqliteStore | undefined;
  let lines: string[];

  beforeEach(() => {
    disk = makeSmallDisk(24);
    lines = [];
  });

  afterEach(async () => {
    await store?.close();
    store = undefined;
    disk.remove();
  });

  function open(): SqliteStore {
    const write = (line: string) => lines.push(JSON.parse(line).message);
    const log = createLogger({ level: "warn", clock: systemClock, write });
    store = openSqliteStore({ path: join(disk.path, "orchy.db"), partitions, log });
    return store;
  }

  /** Creates until one is refused; returns those that were not. */
  async function fillStore(into: SqliteStore, prefix = "e") {
    const created = [];
    for (let i = 0; ; i++) {
      if (i > 5_000) throw new Error("the store never fills up");
      try {
        created.push(await start(into, `${prefix}${i}`, { data }));
      } catch (error) {
        expect(error).toMatchObject({ outcome: "not_applied", reason: "exhausted" });
        return created;
      }
    }
  }

  const remove = async (from: SqliteStore, one: Driven) => {
    const request = { key: one.key, expected: one.head, tombstoneUntil: t0, now: t0 };
    return await from.remove(request);
  };

  test("the file stops growing while the disk still has what the log may need", async () => {
    const { log, floor } = shareDisk(24 * 1024 * 1024);
    const created = await fillStore(open());
    expect(created.length).toBeGreaterThan(100);
    const logBytes = statSync(join(disk.path, "orchy.db-wal")).size;
    expect(disk.freeBytes).toBeGreaterThan(floor + log - Math.max(logBytes, 0) - 65_536);
    // All of it can still be read, and room can be made.
    for (const one of created.slice(0, 20)) expect(await remove(store!, one)).toBe("removed");
    expect((await fillStore(store!, "again")).length).toBeGreaterThan(5);
    expect((await store!.load({ key: created[50]!.key })).outcome).toBe("loaded");
  });

  test("the file has blocks for all of its size, and keeps them when the log is copied", async () => {
    const path = join(disk.path, "orchy.db");
    const database = new Database(path);
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA wal_autocheckpoint = 0");
    database.run("CREATE TABLE rows (value TEXT)");
    const log = openSync(`${path}-wal`, "r+");
    const space = new DiskSpace({
      database,
      path,
      log,
      pagesMax: undefined,
      ballast: new Ballast(path),
    });
    const keeper = new Housekeeper({
      database,
      path,
      logBytes: space.shares.log,
      clock: systemClock,
      log: undefined,
      fileBytes: () => space.fileBytes,
      onCopied: () => {},
    });
    const expectWhole = () => {
      const { blocks, size } = statSync(path);
      expect(size).toBe(space.fileBytes);
      expect(blocks * 512).toBeGreaterThanOrEqual(size);
    };
    for (let i = 0; i < 3; i++) {
      for (let row = 0; row < 100; row++) {
        database.run("INSERT INTO rows VALUES (?)", [text]);
        space.keepAhead();
      }
      await keeper.clearLog();
      expectWhole();
    }
    expect(space.fileBytes).toBeGreaterThan(limits.fileAheadBytes + 300 * text.length);
    await keeper.close();
    closeSync(log);
    database.close(true);
    expectWhole();
    space.close();
  });

  test("starts leave what runs already its share of the file, whatever fills the disk", async () => {
    const opened = open();
    const e = await start(opened, "e");
    disk.fill();
    await fillStore(opened);
    const { running } = shareDisk(24 * 1024 * 1024);
    const count = Math.floor(running / text.length / 2);
    for (let i = 0; i < count; i++) await e.commit({ data: new Map([[`f${i}`, text]]) });
    expect((await opened.load({ key: e.key })).outcome).toBe("loaded");
  });

  test("a write that is refused is for want of room where no other is taken either", () => {
    const fault = (code: string) => Object.assign(new Error(code), { name: "SQLiteError", code });
    const refused = fault("SQLITE_IOERR_WRITE");
    const probe = join(disk.path, "orchy.db.probe");
    disk.fill();
    expect([isOutOfSpace(refused, probe), existsSync(probe)]).toEqual([true, false]);
    expect(isOutOfSpace(fault("SQLITE_IOERR_FSYNC"), probe)).toBe(false);
    expect(isOutOfSpace(new Error("another"), probe)).toBe(false);
    disk.empty();
    expect([isOutOfSpace(refused, probe), existsSync(probe)]).toEqual([false, false]);
  });

  test("a backup that finds no room says so and leaves nothing", async () => {
    const folder = temporaryFolder();
    const from = join(folder.path, "orchy.db");
    const filled = openSqliteStore({ path: from, partitions });
    const ids = Array.from({ length: 1_500 }, (_, i) => `e${i}`);
    await Promise.all(ids.map((id) => start(filled, id, { data })));
    const script = new URL("../../scripts/backup.ts", import.meta.url).pathname;
    const backUp = async () => {
      const command = [process.execPath, script, from, join(disk.path, "copy.db")];
      const child = Bun.spawn(command, { stdout: "ignore", stderr: "pipe" });
      const said = await new Response(child.stderr).text();
      expect([await child.exited, readdirSync(disk.path)]).toEqual([1, []]);
      expect(said).toStartWith(`The backup of ${from} failed: `);
      return said;
    };
    expect(await backUp()).toContain("no space left");
    await filled.close();
    expect(await backUp()).toContain("full");
    folder.remove();
  }, 120_000);

  test("commits go on when another program has taken the last byte", async () => {
    const first = open();
    const e = await start(first, "e", { data });
    const gone = [];
    for (let i = 0; i < 40; i++) gone.push(await start(first, `gone${i}`, { data }));
    disk.fill();
    expect(disk.freeBytes).toBe(0);
    expect((await first.pressure()).used).toBeGreaterThan(1);
    for (const one of gone) expect(await remove(first, one)).toBe("removed");
    // More than the log has blocks for: it is started anew.
    for (let i = 0; i < 300; i++) await e.commit({ state: text, history: [`${i}`] });
    expect(await first.load({ key: e.key })).toMatchObject({ head: e.head, state: text });
    disk.empty();
    expect((await first.pressure()).used).toBeLessThan(0.5);
    expect((await start(first, "new", { data })).head.revision).toBe(1);
    expect(lines).toEqual([]);
  });

  test("a store is opened, written to and emptied on a full disk", async () => {
    const first = open();
    const created = [];
    for (let i = 0; i < 40; i++) created.push(await start(first, `e${i}`, { data }));
    await first.pressure();
    const ballast = join(disk.path, "orchy.db.ballast");
    const { ballast: bytes } = shareDisk(24 * 1024 * 1024);
    await until(async () => statSync(ballast, { throwIfNoEntry: false })?.size === bytes);
    await first.close();
    disk.fill();
    const second = open();
    expect(existsSync(ballast)).toBe(false);
    for (const one of created) expect(await remove(second, one)).toBe("removed");
    expect((await start(second, "small")).head.revision).toBe(1);
    disk.empty();
    await second.pressure();
    await until(async () => existsSync(ballast));
    expect((await start(second, "large", { data })).head.revision).toBe(1);
  });

  test("without a ballast it is opened all the same, and works once there is room", async () => {
    const first = open();
    const e = await start(first, "e", { data });
    await first.close();
    disk.fill(65_536);
    const second = open();
    disk.fill();
    expect((await second.load({ key: e.key })).outcome).toBe("loaded");
    const refused = second.create(createRequest("refused", { data }));
    await expect(refused).rejects.toMatchObject({ outcome: "not_applied", reason: "exhausted" });
    disk.empty();
    expect((await start(second, "new", { data })).head.revision).toBe(1);
  });
});
