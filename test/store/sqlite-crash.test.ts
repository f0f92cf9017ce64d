/** What a SQLite store acknowledged outlives kill -9, whole; and its lock does not. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { executionKey } from "../../src/model/ids.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { Chance } from "../support/chance.ts";
import { partitions } from "./conformance/subject.ts";
import { crashExecutions, stepAt } from "./crash-child.ts";
import { temporaryFolder } from "./temporary.ts";

const seed = Number(process.env.SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);
let folder: ReturnType<typeof temporaryFolder>;

beforeAll(() => {
  folder = temporaryFolder();
});

afterAll(() => folder.remove());

/** Runs the child until it has printed so many acknowledgements, kills it, and notes them all. */
async function crashAfter(path: string, lines: number, acknowledged: Map<string, number>) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "crash-child.ts"), path], {
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  let seen = 0;
  for await (const chunk of child.stdout) {
    const part = Buffer.from(chunk).toString();
    text += part;
    seen += part.split("\n").length - 1;
    if (seen >= lines) child.kill("SIGKILL");
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  for (const line of text.split("\n").slice(0, -1)) {
    const [id, revision] = line.split(" ") as [string, string];
    acknowledged.set(id, Math.max(acknowledged.get(id) ?? 0, Number(revision)));
  }
}

/** Returns the revision that is there: what was not acknowledged counts from now on as well. */
async function expectWhole(store: Store, id: string, acknowledged: number): Promise<number> {
  const key = executionKey(id, partitions);
  const loaded = await store.load({ key });
  if (loaded.outcome !== "loaded") {
    expect([loaded.outcome, acknowledged]).toEqual(["not_found", 0]);
    return 0;
  }
  const { revision } = loaded.head;
  // One commit of each execution is under way at most.
  expect([acknowledged, acknowledged + 1]).toContain(revision);
  const steps = Array.from({ length: revision }, (_, i) => stepAt(i + 1));
  const { task, state } = stepAt(revision);
  expect(loaded.state).toBe(state);
  const fields = steps.slice(1).map(({ field, entry }) => [field, entry] as const);
  expect(loaded.data).toEqual(new Map(fields));
  expect(await store.history({ key, after: 0, limit: 100_000 })).toEqual(
    steps.map(({ entry }) => entry),
  );
  const { tasks } = await store.holdings(key);
  expect(tasks.map(({ id: taskId, token }) => [taskId, token])).toEqual([
    [task.id, task.lease?.token],
  ]);
  return revision;
}

describe("kill -9", () => {
  test(`everything acknowledged is there, nothing is half there (SEED=${seed})`, async () => {
    const chance = new Chance(seed);
    const path = join(folder.path, "orchy.db");
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 6; round++) {
      await crashAfter(path, 1 + chance.below(round === 0 ? 30 : 4_000), acknowledged);
      const store = openSqliteStore({ path, partitions });
      for (const id of crashExecutions) {
        acknowledged.set(id, await expectWhole(store, id, acknowledged.get(id) ?? 0));
      }
      await store.close();
    }
  }, 120_000);
});
