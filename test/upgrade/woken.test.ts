/**
 * A server of a released version that publishes no format, was frozen while the others went on to a
 * newer one, and comes back: it changes what it still reads, and nothing that others show is wrong.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { currentFormat } from "../../src/model/format.ts";
import { call } from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";
import { deadlineMs, Place, step } from "./support/pair.ts";
import { checkOut, type Release, releaseMissing, releases } from "./support/versions.ts";

/** How many executions the server lists by workflow and by status, and by both. */
async function countsAt(place: Place): Promise<readonly number[]> {
  const filters = ["workflow=w", "status=RUNNING", "status=CANCELLED"];
  const pairs = ["workflow=w&status=RUNNING", "workflow=w&status=CANCELLED"];
  const answers = [...filters, ...pairs].map((filter) =>
    call(place, "GET", `/v1/executions?${filter}&limit=500`),
  );
  return (await Promise.all(answers)).map(({ body }) => body.items.length);
}

async function isIndexed({ client }: RedisServer): Promise<boolean> {
  const keys = await client.keys("orchy:{*}:all");
  const paired = await Promise.all(keys.map((key) => client.get(key.replace(":all", ":paired"))));
  return paired.every((value) => value === "done");
}

async function wakeUp(release: Release): Promise<void> {
  const checkout = checkOut(release);
  const redis = await startRedis();
  const store = `redis://127.0.0.1:${redis.port}`;
  const older = new Place(store, checkout);
  const newer = new Place(store);
  const start = (place: Place, executionId: string) =>
    call(place, "POST", "/v1/executions", { workflow: "w", executionId, input: { n: 1 } });
  const equals = (counts: readonly number[]) => async () =>
    Bun.deepEquals(await countsAt(newer), counts);

  try {
    await older.start();
    const wait = { ...step("a"), type: "system", name: "delay", delaySeconds: 600 };
    await call(older, "POST", "/v1/workflows", { name: "w", rootAction: "a", actions: [wait] });
    const quick = { ...wait, delaySeconds: 0.1 };
    await call(older, "POST", "/v1/workflows", { name: "q", rootAction: "a", actions: [quick] });
    for (let i = 0; i < 20; i++) expect((await start(older, `before-${i}`)).status).toBe(202);
    older.halt("SIGSTOP");
    await newer.start(["--format-delay", "0"]);
    const settings = () => redis.client.hget("orchy:{meta}:settings", "layout");
    await until(async () => Number(await settings()) === currentFormat, deadlineMs);
    await until(() => isIndexed(redis), deadlineMs);
    expect(await countsAt(newer)).toEqual([20, 20, 0, 20, 0]);

    older.halt("SIGCONT");
    for (let i = 0; i < 10; i++) {
      const path = `/v1/executions/before-${i}/cancel`;
      expect((await call(older, "POST", path, { operationId: "c" })).status).toBe(200);
      expect((await start(older, `after-${i}`)).status).toBe(202);
    }
    await until(equals([30, 20, 10, 20, 10]), deadlineMs);
    // What it cannot read is looked after by the others alone.
    for (let i = 0; i < 10; i++) {
      await call(newer, "POST", "/v1/executions", { workflow: "q", executionId: `q-${i}` });
    }
    for (let i = 0; i < 10; i++) {
      const { body } = await call(newer, "GET", `/v1/executions/q-${i}/result?wait=60`);
      expect(body.status).toBe("COMPLETED");
    }
    await older.end("SIGKILL");
    await until(() => isIndexed(redis), deadlineMs);
    expect(await countsAt(newer)).toEqual([30, 20, 10, 20, 10]);
    expect(newer.errors().filter((line) => !line.includes("stop it"))).toEqual([]);
  } finally {
    for (const place of [older, newer]) await place.end("SIGKILL");
    await redis.stop();
    rmSync(checkout, { recursive: true, force: true });
  }
}

for (const release of releases.filter(({ format }) => format === 2)) {
  const missing = redisMissing ?? releaseMissing(release);
  const title = `a server of commit ${release.commit.slice(0, 7)} wakes up to a newer format`;
  if (missing === undefined) test(title, () => wakeUp(release), 240_000);
  else test.skip(`${title} (${missing})`, () => {});
}
