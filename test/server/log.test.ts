/** What a server logs of notable events, and that a store that is away does not flood the log. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";
import { redisMissing, startRedis, until } from "../support/redis.ts";
import { complete, done, failed, pollOne, service, single } from "./calls.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly id?: string;
  readonly [field: string]: unknown;
}

describe("notable events", () => {
  const lines: Line[] = [];
  let server: TestServer;

  beforeAll(async () => {
    const write = (line: string) => lines.push(JSON.parse(line));
    const log = createLogger({ level: "debug", clock: systemClock, write });
    server = await startTestServer({ parts: { log } });
  });
  afterAll(() => server.remove());

  const of = (id: string) => lines.filter((line) => line.id === id);
  const told = (id: string, message: string) => of(id).filter((line) => line.message === message);

  test("an execution that completes is worth no line above debug", async () => {
    await saveWorkflow(server, single("fine"));
    const id = await startExecution(server, "fine");
    await complete(server, done(await pollOne(server, "fine")));
    await untilEnded(server, id);
    expect(of(id).map(({ level, message, status }) => [level, message, status])).toEqual([
      ["debug", "an execution has started", undefined],
      ["debug", "an execution ended", "COMPLETED"],
    ]);
  });

  test("exhausted attempts and the failure are told, without what the worker said", async () => {
    const retry = { retryCount: 1, retryAfterSeconds: 0 };
    await saveWorkflow(server, single("tired", { retry }));
    const id = await startExecution(server, "tired");
    for (let attempt = 1; attempt <= 2; attempt++) {
      const { token } = await pollOne(server, "tired");
      const failure = { code: "BROKEN", message: "private words", details: { private: "words" } };
      await service(server, "Complete", { workerId: "w1", results: [{ token, failure }] });
    }
    await untilEnded(server, id);
    const common = { level: "info", workflow: "tired", code: "BROKEN", action: "a" };
    expect(of(id).filter(({ level }) => level !== "debug")).toMatchObject([
      { ...common, message: "an action has failed", attempts: 2, worker: "w1" },
      { ...common, message: "an execution ended", status: "FAILED" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("private");
  });

  test("a failure that the workflow handles is told as well", async () => {
    await saveWorkflow(server, single("handled", { optional: true }));
    const id = await startExecution(server, "handled");
    await complete(server, failed(await pollOne(server, "handled"), "NO", false));
    expect((await untilEnded(server, id)).status).toBe("COMPLETED");
    expect(told(id, "an action has failed")).toMatchObject([{ code: "NO", attempts: 1 }]);
  });

  test("a lease that lapses, a poison task and the late result", async () => {
    const retry = { retryCount: 0 };
    await saveWorkflow(server, single("poison", { retry, timeoutSeconds: 0.3 }));
    const id = await startExecution(server, "poison");
    const task = await pollOne(server, "poison", { workerId: "w2" });
    expect((await untilEnded(server, id)).status).toBe("FAILED");
    expect(await complete(server, done(task))).toEqual(["STALE"]);
    expect(told(id, "an action has failed")).toMatchObject([{ code: "TIMEOUT", worker: "w2" }]);
    await until(async () => told(id, "a lease has lapsed").length > 0);
    expect(told(id, "a lease has lapsed")).toMatchObject([
      { level: "info", action: "a", worker: "w2", cause: "TIMEOUT" },
    ]);
    expect(told(id, "a result arrived too late")).toMatchObject([{ level: "info", action: "a" }]);
  });

  test("an execution that runs out of time, and one that is cancelled by hand", async () => {
    await saveWorkflow(server, { ...single("slow"), timeoutSeconds: 0.2 });
    const slow = await startExecution(server, "slow");
    await untilEnded(server, slow);
    expect(told(slow, "an execution ended")).toMatchObject([{ status: "TIMED_OUT" }]);

    await saveWorkflow(server, single("unwanted"));
    const unwanted = await startExecution(server, "unwanted");
    await call(server, "POST", `/v1/executions/${unwanted}/cancel`, {});
    expect(told(unwanted, "an execution ended")).toMatchObject([{ status: "CANCELLED" }]);
    const byHand = lines.filter(({ target }) => target === unwanted);
    expect(byHand).toMatchObject([{ audit: true, what: "execution cancelled" }]);
  });

  test("a follow-up that cannot be started", async () => {
    await saveWorkflow(server, { ...single("lonely"), onSuccess: { workflow: "gone-before" } });
    const id = await startExecution(server, "lonely");
    await complete(server, done(await pollOne(server, "lonely")));
    const isTold = (line: Line) =>
      line.message === "a message cannot be delivered" && line.source === id;
    await until(async () => lines.some(isTold));
  });
});

describe.skipIf(redisMissing !== undefined)("a Redis that is away", () => {
  test("is one line, and one when it is back, under load", async () => {
    const port = freePort();
    const settings = { appendonly: "yes", appendfsync: "always" };
    const place = { port, folder: mkdtempSync(join(tmpdir(), "orchy-log-")) };
    let redis = await startRedis(settings, place);
    const server = await startProcess(`redis://127.0.0.1:${port}`);
    const linesOf = (): Line[] =>
      server.output.text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    try {
      await call(server, "POST", "/v1/workflows", single("away"));
      const ending = new AbortController();
      const attempt = (path: string, body: object) =>
        call(server, "POST", path, body).then(
          ({ status }) => status,
          () => 0,
        );
      const statuses: number[] = [];
      const lanes = Array.from({ length: 50 }, async () => {
        while (!ending.signal.aborted) {
          statuses.push(await attempt("/v1/executions", { workflow: "away" }));
          const poll = { actions: ["away"], maxTasks: 10, waitSeconds: 0.05 };
          await attempt("/orchy.v1.WorkerService/Poll", poll);
        }
      });
      const isRefused = (status: number) => status === 503;
      await until(async () => statuses.some((status) => status === 202));
      await redis.kill();
      await until(async () => statuses.filter(isRefused).length >= 100);
      redis = await startRedis(settings, place);
      const refused = statuses.length;
      await until(async () => statuses.slice(refused).some((status) => status === 202));
      const back = (line: Line) => line.message === "The store is back";
      await until(async () => linesOf().some(back));
      ending.abort();
      await Promise.all(lanes);

      const lines = linesOf();
      const told = lines.find(back);
      expect(told?.failedCalls as number).toBeGreaterThanOrEqual(50);
      expect(told?.awayMs as number).toBeGreaterThan(0);
      // A machine that is very busy may let the server or a call stand still for a second.
      const [listening, saved, ...more] = lines
        .map(({ message }) => message)
        .filter((message) => !/stood still|thread was blocked/.test(message));
      expect([listening, saved]).toEqual(["Orchy is listening", "changed by hand"]);
      // On a machine that is very busy it may be away once more.
      const pairs = Array(more.length / 2).fill(["The store is away", "The store is back"]);
      expect(more).toEqual(pairs.flat());
      expect(pairs.length).toBeLessThanOrEqual(2);
      expect(server.output.text).not.toContain("stack");
    } finally {
      server.child.kill("SIGKILL");
      await server.child.exited;
      await redis.stop();
      rmSync(place.folder, { recursive: true, force: true });
    }
  }, 120_000);
});
