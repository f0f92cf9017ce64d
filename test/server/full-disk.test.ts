/**
 * A server as a separate process whose disk is full: by its own rows, then to the last byte by
 * another program, then at a start. It refuses new work, goes on with what it has, and stays up.
 */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { shareDisk } from "../../src/store/sqlite/disk-space.ts";
import { call } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { until } from "../support/redis.ts";
import { disksMissing, makeSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { complete, done, poll, single } from "./calls.ts";

if (disksMissing !== undefined) console.log(`SKIPPED a server on a full disk: ${disksMissing}`);

let disk: SmallDisk | undefined;
let server: ServerProcess | undefined;

beforeEach(() => {
  disk = makeSmallDisk(48);
});

afterEach(async () => {
  await kill();
  disk?.remove();
});

async function kill(): Promise<void> {
  server?.child.kill("SIGKILL");
  await server?.child.exited;
}

const input = { text: "x".repeat(30_000) };
const alive = () =>
  expect([server!.child.exitCode, server!.child.signalCode]).toEqual([null, null]);

/** The id of what was started; undefined: it was refused for want of room. */
async function start(): Promise<string | undefined> {
  const { status, body } = await call(server!, "POST", "/v1/executions", {
    workflow: "full",
    input,
  });
  if (status === 202) return body.id;
  expect([status, body.error.code]).toEqual([503, "RESOURCE_EXHAUSTED"]);
  return undefined;
}

/** Eight callers, each until it is refused. */
async function fill(): Promise<string[]> {
  const ids: string[] = [];
  const caller = async () => {
    for (let id = await start(); id !== undefined; id = await start()) ids.push(id);
  };
  await Promise.all(Array.from({ length: 8 }, caller));
  return ids;
}

/** Works off `count` tasks; returns the executions that they ended. */
async function work(count: number): Promise<string[]> {
  const tasks = await poll(server!, { actions: ["full"], maxTasks: count });
  expect(tasks.length).toBeGreaterThan(0);
  const outcomes = await complete(server!, ...tasks.map((task) => done(task)));
  expect(new Set(outcomes)).toEqual(new Set(["ACCEPTED"]));
  return tasks.map(({ executionId }) => executionId);
}

const statusOf = async (id: string) => {
  const { status, body } = await call(server!, "GET", `/v1/executions/${id}`);
  return status === 200 ? body.status : status;
};

test.skipIf(disksMissing !== undefined)(
  "a full disk, while it runs and when it starts, ends no server and loses nothing",
  async () => {
    const store = `sqlite:${disk!.path}/orchy.db`;
    server = await startProcess(store);
    await call(server, "POST", "/v1/workflows", single("full"));
    const started = await fill();
    expect(started.length).toBeGreaterThan(100);
    expect((await call(server, "GET", "/health/ready")).status).toBe(503);
    const ended = await work(20);

    disk!.fill();
    expect(disk!.freeBytes).toBe(0);
    expect(await start()).toBeUndefined();
    ended.push(...(await work(20)));
    expect((await call(server, "GET", "/health/live")).status).toBe(200);
    alive();

    await kill();
    disk!.fill();
    server = await startProcess(store);
    // Taking from the finished ones only, it makes room on a disk that stays full.
    ended.push(...(await work(started.length)));
    const again: string[] = [];
    await until(async () => {
      const id = await start();
      if (id !== undefined) again.push(id);
      return id !== undefined;
    }, 120_000);
    expect(disk!.freeBytes).toBeLessThan(10 * 1024 * 1024);
    const statuses = new Set(await Promise.all(ended.map(statusOf)));
    expect([...statuses].sort()).toEqual([410, "COMPLETED"]);
    alive();

    disk!.empty();
    await until(async () => (await call(server!, "GET", "/health/ready")).status === 200, 60_000);
    const rest = new Set(started);
    for (const id of ended) rest.delete(id);
    expect(new Set(await Promise.all([...rest, ...again].map(statusOf)))).toEqual(
      new Set(["RUNNING"]),
    );
    server.child.kill("SIGTERM");
    expect(await server.child.exited).toBe(0);
  },
  120_000,
);

test.skipIf(disksMissing !== undefined)(
  "a server hands out and completes tasks where its file has no room and its log is gone",
  async () => {
    const store = `sqlite:${disk!.path}/orchy.db`;
    server = await startProcess(store);
    await call(server, "POST", "/v1/workflows", single("full"));
    const ids = (await Promise.all(Array.from({ length: 100 }, start))).map(String);
    const ballast = `${disk!.path}/orchy.db.ballast`;
    const { ballast: bytes } = shareDisk(48 * 1024 * 1024);
    await until(async () => statSync(ballast, { throwIfNoEntry: false })?.size === bytes);
    await kill();
    const database = new Database(`${disk!.path}/orchy.db`);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close(true);
    expect(existsSync(`${disk!.path}/orchy.db-wal`)).toBe(false);
    disk!.fill();
    server = await startProcess(store);
    expect((await work(100)).sort()).toEqual(ids.sort());
    expect(await start()).toBeUndefined();
  },
  120_000,
);
