/**
 * A server that stands still (a paused machine, a starved container) fails nothing by it: what workers
 * and callers sent in time counts, though it is read after the deadline.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "../../src/worker/index.ts";
import { call, createWorker, saveWorkflow, startExecution, untilEnded } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { complete, done, pollOne } from "./calls.ts";

/** Each deadline passes while the server stands still. */
const deadlineSeconds = 3;
const standstillMs = 4_000;

const user = (name: string, rules: object = {}, more: object = {}) => ({
  ...{ name, rootAction: "a", ...more },
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

const targets: [name: string, skipped: boolean][] = [
  ["SQLite", false],
  ["Redis", redisMissing !== undefined],
];

describe.each(targets)("on %s", (target, skipped) => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-test-"));
  let redis: RedisServer | undefined;
  let server: ServerProcess;
  let worker: Worker;

  beforeAll(async () => {
    if (skipped) return;
    if (target === "Redis") redis = await startRedis();
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

      server.child.kill("SIGSTOP");
      const results = [attempt!, total!, whole!].map((task) => complete(server, done(task)));
      const queued = pollOne(server, "queue").then((task) => complete(server, done(task)));
      const path = `/v1/executions/${ids.wait}/signal`;
      const signalled = call(server, "POST", path, { event: "go", payload: 1 });
      await Bun.sleep(standstillMs);
      server.child.kill("SIGCONT");

      expect((await Promise.all([...results, queued])).flat()).toEqual(Array(4).fill("ACCEPTED"));
      expect((await signalled).body).toEqual({ outcome: "accepted" });
      goOn.resolve();
      const ended = names.map(async (name) => {
        const { status, result, error } = await untilEnded(server, ids[name]!);
        return [name, error?.code ?? (status === "COMPLETED" ? (result?.event ?? "done") : status)];
      });
      expect(Object.fromEntries(await Promise.all(ended))).toEqual({
        ...{ attempt: "done", silence: "done", queue: "done", total: "done", whole: "done" },
        ...{ wait: "go", dead: "TIMEOUT" },
      });
      expect(server.output.text).toContain("the server stood still");
    },
    40_000,
  );
});
