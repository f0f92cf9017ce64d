/** What becomes of a SQLite store whose disk did not keep its log. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, copyFileSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { groupCommitOperationsMin } from "../../src/store/sqlite/group-commit.ts";
import { holdsFrames } from "../../src/store/sqlite/log-frames.ts";
import { openSqliteStore, type SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { until } from "../support/redis.ts";
import { createRequest, partitions, start, t0 } from "./conformance/subject.ts";
import { temporaryFolder } from "./temporary.ts";

type Callback = (error: Error | null) => void;

const noSpace = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
const stores: SqliteStore[] = [];
let lines: string[];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, "orchy.db");
  lines = [];
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  folder.remove();
});

/** `fault` is what each sync of its log ends with; `aside` counts those that did not stop the store. */
interface Faulty {
  fault: Error | null;
  aside: number;
}

function open(disk: Faulty, at = path): SqliteStore {
  const write = (line: string) => lines.push(JSON.parse(line).message);
  const log = createLogger({ level: "warn", clock: systemClock, write });
  const sync = () => {
    if (disk.fault !== null) throw disk.fault;
  };
  const syncAside = (_: number, callback: Callback) => {
    setImmediate(() => {
      callback(disk.fault);
      disk.aside += 1;
    });
  };
  const store = openSqliteStore({ path: at, partitions, log, disk: { sync, syncAside } });
  stores.push(store);
  return store;
}

/** Changes one byte of a file, so far from its end. */
function spoil(file: string, fromEnd: number): void {
  const opened = openSync(file, "r+");
  const place = statSync(file).size - fromEnd;
  const byte = Buffer.alloc(1);
  readSync(opened, byte, 0, 1, place);
  byte[0]! ^= 1;
  writeSync(opened, byte, 0, 1, place);
  closeSync(opened);
}

const loaded = async (store: SqliteStore, id: string): Promise<string> =>
  (await store.load({ key: createRequest(id).key })).outcome;

describe("a disk that has no room for what the log holds", () => {
  test("makes the store refuse everything until it has, and costs nothing of it", async () => {
    const disk: Faulty = { fault: null, aside: 0 };
    const store = open(disk);
    await start(store, "kept");
    disk.fault = noSpace;
    const exhausted = { reason: "exhausted" };
    await expect(store.create(createRequest("e1"))).rejects.toMatchObject({
      outcome: "unknown",
      ...exhausted,
    });
    const refused = { outcome: "not_applied", ...exhausted };
    await expect(store.create(createRequest("e2"))).rejects.toMatchObject(refused);
    await expect(loaded(store, "kept")).rejects.toMatchObject(refused);
    expect(store.broken()).toBeUndefined();
    disk.fault = null;
    await until(() =>
      loaded(store, "kept").then(
        () => true,
        () => false,
      ),
    );
    expect(await Promise.all(["e1", "e2"].map((id) => loaded(store, id)))).toEqual([
      ...["loaded", "not_found"],
    ]);
    expect((await store.create(createRequest("e2"))).outcome).toBe("created");
    expect(lines).toEqual([
      `The disk did not keep the log (${noSpace.message}); make room on it.`,
      "the disk has the log again",
    ]);
  });

  test("is broken where a part of the log is lost", async () => {
    const disk: Faulty = { fault: null, aside: 0 };
    const store = open(disk);
    await start(store, "kept");
    disk.fault = noSpace;
    await expect(store.create(createRequest("e1"))).rejects.toMatchObject({ outcome: "unknown" });
    // A try has failed; until the next one nothing but the file holds the log.
    const before = disk.aside;
    await until(async () => disk.aside > before);
    spoil(`${path}-wal`, 100);
    disk.fault = null;
    await until(async () => store.broken() !== undefined);
    expect(store.broken()).toBe(
      "The disk did not keep the log (a part of it is lost); start the server anew.",
    );
  });
});

test("a sync that failed fails all that was to follow it", async () => {
  const ends: Callback[] = [];
  const syncAside = (_: number, callback: Callback) => ends.push(callback);
  // Groups are ended by their size, not by time.
  const clock = { ...systemClock, now: () => t0 };
  const store = openSqliteStore({ path, partitions, clock, disk: { sync() {}, syncAside } });
  const group = Array.from({ length: groupCommitOperationsMin }, (_, i) => `a${i}`);
  const outcomes: string[] = [];
  const create = (id: string) =>
    store.create(createRequest(id)).then(
      ({ outcome }) => outcomes.push(outcome),
      ({ outcome }) => outcomes.push(outcome),
    );
  const first = Promise.all(group.map(create));
  await until(async () => ends.length === 1);
  const second = Promise.all(group.map((id) => create(`b${id}`)));
  await until(async () => {
    const wal = new Database(path, { readonly: true });
    const [[count]] = wal.query("SELECT count(*) FROM executions").values() as [[number]];
    wal.close();
    return count === 2 * group.length;
  });
  ends[0]!(new Error("EIO: i/o error"));
  await Promise.all([first, second]);
  expect(outcomes).toEqual(Array(2 * group.length).fill("unknown"));
  expect(ends).toHaveLength(1);
  await store.close();
});

test("a log that was left behind is put on disk again before anything is taken", async () => {
  const first = open({ fault: null, aside: 0 });
  await start(first, "e1");
  const copy = join(folder.path, "copy.db");
  for (const end of ["", "-wal"]) copyFileSync(path + end, copy + end);
  const ends: Callback[] = [];
  const syncAside = (_: number, callback: Callback) => ends.push(callback);
  const second = openSqliteStore({ path: copy, partitions, disk: { sync() {}, syncAside } });
  stores.push(second);
  let isLoaded = false;
  const loading = loaded(second, "e1").then((outcome) => {
    isLoaded = true;
    return outcome;
  });
  await until(async () => ends.length === 1);
  expect(isLoaded).toBe(false);
  ends[0]!(null);
  expect(await loading).toBe("loaded");
});

test("frames are told from what SQLite did not write", async () => {
  const database = new Database(path);
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA wal_autocheckpoint = 0");
  database.run("CREATE TABLE rows (value TEXT)");
  const frames = () =>
    Number((database.query("PRAGMA wal_checkpoint(NOOP)").values()[0] as number[])[1]);
  const fill = () => {
    for (let i = 0; i < 40; i++) database.run("INSERT INTO rows VALUES (?)", ["x".repeat(9_000)]);
  };
  fill();
  const log = openSync(`${path}-wal`, "r+");
  const holds = (count: number) => holdsFrames(log, count);
  const before = frames();
  expect(before).toBeGreaterThan(100);
  expect([await holds(before), await holds(before + 1)]).toEqual([true, false]);
  // Started anew, with more of the one before behind it.
  database.run("PRAGMA wal_checkpoint(RESTART)");
  database.run("INSERT INTO rows VALUES ('y')");
  expect(frames()).toBeLessThan(before);
  expect([await holds(frames()), await holds(frames() + 1)]).toEqual([true, false]);
  fill();
  spoil(`${path}-wal`, statSync(`${path}-wal`).size / 2);
  expect([await holds(5), await holds(frames())]).toEqual([true, false]);
  closeSync(log);
  database.close();
});
