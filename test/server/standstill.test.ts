/**
 * A server or a store that stands still (a paused machine, a starved container) fails nothing by it: what
 * workers and callers sent in time counts, though it is read after the deadline.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "../../src/worker/index.ts";
import { call, createWorker, saveWorkflow, startExecution, untilEnded } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { complete, done, pollOne, type Task } from "./calls.ts";

/** Each deadline passes while the server stands still. */
const deadlineSeconds = 3;
const standstillMs = 3_200;

const user = (name: string, rules: object = {}, more: object = {}) => ({
  name,
  rootAction: "a",
  ...more,
  actions: [{ id: "a", type: "user", name, retry: { retryCount: 0 }, ...rules }],
});

const wait = {
  id: "a",
  type: "system",
  name: "wait",
  event: "go",
  timeoutSeconds: deadlineSeconds,
};
const workflows = [
  user("attempt", { timeoutSeconds: deadlineSeconds }),
  user("dead", { timeoutSeconds: deadlineSeconds }),
  user("silence", { heartbeatSeconds: deadlineSeconds / 2 }),
  user("queue", { queueTimeoutSeconds: deadlineSeconds }),
  user("total", { totalTimeoutSeconds: deadlineSeconds }),
  user("whole", {}, { timeoutSeconds: deadlineSeconds }),
  { name: "wait", rootAction: "a", actions: [wait] },
];

/** As every client does: what the store did not take, or did not say, is sent again. */
async function insist<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await send();
    } catch (error) {
      if (tries === 100) throw error;
      await Bun.sleep(50);
    }
  }
}

const settle = (server: ServerProcess, task: Task) =>
  insist(async () => {
    const [answer] = await complete(server, done(task));
    if (answer === "RETRY") throw new Error(answer);
    return answer;
  });

const targets: [what: string, store: "sqlite" | "redis", skipped: boolean][] = [
  ["a server on SQLite", "sqlite", false],
  ["a server on Redis", "redis", redisMissing !== undefined],
  ["the Redis of a server", "redis", redisMissing !== undefined],
];

describe.each(targets)("%s stands still", (what, store, skipped) => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-test-"));
  let redis: RedisServer | undefined;
  let server: ServerProcess;
  let worker: Worker;

  beforeAll(async () => {
    if (skipped) return;
    if (store === "redis") redis = await startRedis();
    server = await startProcess(
      redis ? `redis://127.0.0.1:${redis.port}` : `sqlite:${folder}/o.db`,
    );
    for (const workflow of workflows) await saveWorkflow(server, workflow);
    worker = createWorker(server);
  });
  afterAll(async () => {
    await worker?.stop();
    server?.child.kill("SIGKILL");
    await server?.child.exited;
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.skipIf(skipped)(
    "what came in time counts, and what did not ends all the same",
    async () => {
      const goOn = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      worker.action("silence", async () => {
        begun.resolve();
        await goOn.promise;
      });
      await worker.start();

      const names = workflows.map(({ name }) => name);
      const started = await Promise.all(names.map((name) => startExecution(server, name)));
      const ids: Record<string, string> = Object.fromEntries(
        names.map((name, i) => [name, started[i]!]),
      );
      const polled = ["attempt", "dead", "total", "whole"].map((name) => pollOne(server, name));
      const [attempt, , total, whole] = await Promise.all(polled);
      await begun.promise;

      const pid = what.startsWith("a server") ? server.child.pid : redis!.pid;
      process.kill(pid, "SIGSTOP");
      const results = [attempt!, total!, whole!].map((task) => settle(server, task));
      const queued = insist(() => pollOne(server, "queue")).then((task) => settle(server, task));
      const signal = { event: "go", payload: 1, signalId: "s" };
      const signalled = insist(async () => {
        const { status } = await call(server, "POST", `/v1/executions/${ids.wait}/signal`, signal);
        if (status >= 500) throw new Error(`${status}`);
        return status;
      });
      await Bun.sleep(standstillMs);
      process.kill(pid, "SIGCONT");

      // After an unknown outcome the repeat finds what its first call has done.
      for (const answer of await Promise.all([...results, queued])) {
        expect(["ACCEPTED", "DUPLICATE"]).toContain(answer!);
      }
      expect(await signalled).toBe(200);
      goOn.resolve();
      const ended = names.map(async (name) => {
        const { status, result, error } = await untilEnded(server, ids[name]!);
        return [name, error?.code ?? (status === "COMPLETED" ? (result?.event ?? "done") : status)];
      });
      expect(Object.fromEntries(await Promise.all(ended))).toEqual({
        attempt: "done",
        silence: "done",
        queue: "done",
        total: "done",
        whole: "done",
        wait: "go",
        dead: "TIMEOUT",
      });
      // A Redis that refuses what was on its way for long counts as away.
      expect(server.output.text).toMatch(/ stood still: |The store is back/);
    },
    120_000,
  );
});
