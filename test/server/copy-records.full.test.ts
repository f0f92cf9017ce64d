/** A house is moved through the stores that are records of their own, and goes on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { cassandraMissing, startCassandra } from "../support/cassandra.ts";
import { startTestServer } from "../support/orchy.ts";
import { copy, digests, fill, finish } from "./house.ts";

const startMs = 300_000;
const missing = (await ministackMissing()) ?? (await cassandraMissing());

describe("a copy", () => {
  if (missing !== undefined) {
    test.skip(`goes through DynamoDB and Cassandra (${missing})`, () => {});
    return;
  }
  let folder: string;
  let dynamo: Awaited<ReturnType<typeof startMinistack>>;
  let cassandra: Awaited<ReturnType<typeof startCassandra>>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "orchy-copy-"));
    [dynamo, cassandra] = await Promise.all([startMinistack(), startCassandra()]);
  }, startMs);
  afterAll(async () => {
    await Promise.all([dynamo.stop(), cassandra.stop()]);
    rmSync(folder, { recursive: true });
  });

  test(
    "goes through DynamoDB and Cassandra",
    async () => {
      const env = {
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
        AWS_ENDPOINT_URL_DYNAMODB: dynamo.endpoint,
      };
      const first = `sqlite:${folder}/first.db`;
      const server = await startTestServer({ store: first });
      const was = await fill(server);
      await server.stop();
      const before = await digests(first);
      const last = `sqlite:${folder}/last.db`;
      const second = "dynamodb://eu-west-1/copied";
      const third = cassandra.url("copied");
      for (const [from, to, partitions] of [
        [first, second, "4"],
        [second, third, "3"],
        [third, last, "1"],
      ] as const) {
        const { out, told, code } = await copy([from, to, "--partitions", partitions], {
          cwd: folder,
          env,
        });
        expect([code, code === 0 ? "" : told]).toEqual([0, ""]);
        expect(out).toContain(`${before.size} executions`);
      }
      expect(await digests(last)).toEqual(before);
      const target = await startTestServer({ store: last });
      await finish(target, was);
      await target.stop();
    },
    startMs,
  );
});
