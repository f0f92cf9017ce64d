/** `copy --from … --to …` as a process: a house is moved through all kinds of stores, and goes on. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executionKey } from "../../src/model/ids.ts";
import { call, saveWorkflow, startExecution, startTestServer } from "../support/orchy.ts";
import { postgresMissing, startPostgres } from "../support/postgres.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { single } from "./calls.ts";
import { copy as copyBetween, digests, fill, finish, open } from "./house.ts";

// Each test starts several processes.
setDefaultTimeout(120_000);

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "orchy-copy-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const copy = (...addresses: [from: string, to: string, ...string[]]) =>
  copyBetween(addresses, { cwd: folder });

describe("a copy", () => {
  const missing = redisMissing ?? postgresMissing;
  if (missing !== undefined) {
    test.skip(`goes through every kind of store (${missing})`, () => {});
    return;
  }
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let postgres: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres({ fsync: "off" })]);
  });
  afterAll(() => Promise.all([redis.stop(), postgres.stop()]));

  test("goes through every kind of store and number of partitions, and servers go on there", async () => {
    const first = `sqlite:${folder}/first.db`;
    const server = await startTestServer({ store: first });
    const was = await fill(server);
    await server.stop();
    const before = await digests(first);
    const second = `redis://127.0.0.1:${redis.port}`;
    const third = postgres.url;
    const last = `sqlite:${folder}/last.db`;
    for (const [from, to, partitions] of [
      [first, second, "8"],
      [second, third, "3"],
      [third, last, "1"],
    ] as const) {
      const { out, told, code } = await copy(from, to, "--partitions", partitions);
      expect([code, told.replace(/^(?:comparing|\d+ exec).*$/gm, "").trim()]).toEqual([0, ""]);
      expect(out).toContain(`Copied and compared: `);
      expect(out).toContain(`${before.size} executions`);
    }
    const live = await startTestServer({ store: second });
    const refused = await copy(second, `sqlite:${folder}/never.db`);
    expect([refused.code, refused.told]).toEqual([
      1,
      expect.stringContaining("is live at the store"),
    ]);
    await live.stop();
    expect(await digests(last)).toEqual(before);
    const target = await startTestServer({ store: last });
    await finish(target, was);
    await target.stop();
  });
});

test("refuses what it cannot do, in a sentence each, and leaves the target as it was", async () => {
  const [source, other] = [`sqlite:${folder}/source.db`, `sqlite:${folder}/other.db`];
  const server = await startTestServer({ store: source });
  await saveWorkflow(server, single("one"));
  for (const [args, sentence] of [
    [[source, `sqlite:${folder}/target.db`], "is in use by another Orchy server"],
    [["memory:", other], "exists only within its server"],
    [[other, other], "are the same store"],
    [[other, source], "is in use by another Orchy server"],
    [["ftp://x", other], "There is no store of the kind"],
  ] as const) {
    const { code, told } = await copy(...(args as unknown as [string, string]));
    expect([code, told]).toEqual([1, expect.stringContaining(sentence)]);
  }
  await server.stop();
  const filled = await copy(source, source.replace("source", "copied"));
  expect(filled.code).toBe(0);
  const again = await copy(source, source.replace("source", "copied"));
  expect([again.code, again.told]).toEqual([1, expect.stringContaining("holds data already")]);
});

test("goes on after an interruption; until then no server starts on the target", async () => {
  const [source, target] = [`sqlite:${folder}/a.db`, `sqlite:${folder}/b.db`];
  const server = await startTestServer({ store: source });
  await saveWorkflow(server, single("many"));
  const ids: string[] = [];
  for (let i = 0; i < 150; i++) ids.push(await startExecution(server, "many", { i }));
  await server.stop();
  // As an interruption leaves it: a part of the executions, and how far it has come.
  const [from, to] = await Promise.all([open(source), open(target)]);
  const page = await from.dump({ partition: 0, limit: 100 });
  for (const piece of page.pieces) {
    const key = executionKey(piece.id, 1);
    await to.restore({ key, piece, now: Date.now() });
  }
  const progress = { from: `${source} (namespace orchy)`, places: { 0: page.next } };
  const body = JSON.stringify(progress);
  await to.putDocument({ kind: "copy", id: "progress", body, expectedVersion: 0 });
  await Promise.all([from.close(), to.close()]);
  await expect(startTestServer({ store: target })).rejects.toThrow("unfinished copy");
  const elsewhere = await copy(`sqlite:${folder}/c.db`, target);
  expect(elsewhere.told).toContain("unfinished copy of");
  const { code, told, out } = await copy(source, target);
  expect([code, told.includes("going on")]).toEqual([0, true]);
  expect(out).toContain("150 executions");
  expect((await digests(target)).size).toBe(150);
  const started = await startTestServer({ store: target });
  expect((await call(started, "GET", `/v1/executions/${ids[0]}`)).status).toBe(200);
  await started.stop();
});
