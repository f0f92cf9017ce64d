/** Bursts of scripts at real servers: none starves, nothing is evaluated twice, all of it ends. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMetrics, total } from "../support/metrics.ts";
import { call, startExecution } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";

const workflow = (name: string, turns: number) => ({
  name,
  rootAction: "j",
  actions: [
    {
      id: "j",
      type: "system",
      name: "javascript",
      expression: `let sum = 0; for (let i = 0; i < ${turns}; i++) sum = (sum + i) | 0; $.sum = sum`,
    },
  ],
});

async function startMany(server: ServerProcess, name: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  const lane = async () => {
    while (ids.length < count) {
      ids.push("");
      const index = ids.length - 1;
      ids[index] = await startExecution(server, name);
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  return ids;
}

/** Over all servers. */
async function sumOf(
  servers: readonly ServerProcess[],
  name: string,
  ...parts: readonly string[]
): Promise<number> {
  const samples = await Promise.all(servers.map((server) => readMetrics(server)));
  return samples.reduce((sum, each) => sum + total(each, name, ...parts), 0);
}

async function untilEnded(servers: readonly ServerProcess[], name: string, count: number) {
  const ended = () => sumOf(servers, "orchy_executions_ended_total", `workflow="${name}"`);
  while ((await ended()) < count) await Bun.sleep(50);
  expect(await ended()).toBe(count);
}

let folder: string;
let redis: RedisServer | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "orchy-scripts-"));
  if (redisMissing === undefined) redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const targets: [name: string, servers: number, skipped: boolean][] = [
  ["one server on SQLite", 1, false],
  ["two servers on one Redis", 2, redisMissing !== undefined],
];

for (const [target, count, skipped] of targets) {
  describe.skipIf(skipped)(target, () => {
    const servers: ServerProcess[] = [];
    beforeAll(async () => {
      const store = count === 1 ? `sqlite:${folder}/orchy.db` : `redis://127.0.0.1:${redis!.port}`;
      for (let i = 0; i < count; i++) {
        servers.push(await startProcess(store, {}, ["--script-processes", "1"]));
      }
      const definitions = [
        workflow("burst", 40_000),
        workflow("slow", 1_000_000),
        workflow("other", 1),
      ];
      for (const definition of definitions) {
        expect((await call(servers[0]!, "POST", "/v1/workflows", definition)).status).toBe(201);
      }
    }, 120_000);
    afterAll(async () => {
      for (const { child } of servers) child.kill("SIGTERM");
      await Promise.all(servers.map(({ child }) => child.exited));
    }, 120_000);

    test("more scripts than the queue holds all end, and each is evaluated once", async () => {
      await startMany(servers[0]!, "burst", 500);
      await untilEnded(servers, "burst", 500);
      // Two servers may take the same one, where a timer is due while another server takes it.
      const evaluated = await sumOf(servers, "orchy_script_seconds_count");
      expect(evaluated).toBeWithin(500, count === 1 ? 501 : 550);
    }, 120_000);

    test("hundreds of slow scripts hold up none of another workflow, and can be cancelled", async () => {
      const [server] = servers as [ServerProcess];
      const before = await sumOf(servers, "orchy_script_seconds_count");
      const ids = await startMany(server, "slow", 300);
      const ended = () => sumOf(servers, "orchy_executions_ended_total", 'workflow="slow"');
      const open = 300 - (await ended());
      const other = await call(server, "POST", "/v1/executions?wait=60", { workflow: "other" });
      expect(other.body.status).toBe("COMPLETED");
      expect(300 - (await ended())).toBeGreaterThan(open / 2);
      await Promise.all(ids.map((id) => call(server, "POST", `/v1/executions/${id}/cancel`, {})));
      await untilEnded(servers, "slow", 300);
      expect((await sumOf(servers, "orchy_script_seconds_count")) - before).toBeLessThan(300);
    }, 120_000);
  });
}
