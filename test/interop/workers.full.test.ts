/** The example worker of each language, as its author would run it: from its start to its SIGTERM. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { call } from "../support/orchy.ts";
import { ended, saveSingle, start, until } from "./support/desk.ts";
import { skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import {
  goProgram,
  javaProgram,
  missing,
  prepareGo,
  prepareJava,
  preparePython,
  pythonEnvironment,
  pythonProgram,
  type Skip,
} from "./support/toolchains.ts";

interface Example {
  readonly name: string;
  readonly skip: Skip;
  readonly port: "http" | "grpc";
  command(): readonly string[] | Promise<readonly string[]>;
  readonly env?: Readonly<Record<string, string>>;
  /** Why it does not hear that a task was cancelled. */
  readonly deaf?: string;
}

const go = await prepareGo();
const python = await preparePython();
const env = pythonEnvironment;
const examples: readonly Example[] = [
  { name: "go/connect", skip: go, port: "http", command: () => [goProgram("connect")] },
  { name: "go/grpc", skip: go, port: "grpc", command: () => [goProgram("grpc")] },
  {
    name: "python/worker_http.py",
    skip: python,
    port: "http",
    env,
    command: () => pythonProgram("worker_http.py"),
  },
  {
    name: "python/worker_grpc.py",
    skip: python,
    port: "grpc",
    env,
    command: () => pythonProgram("worker_grpc.py"),
  },
  {
    name: "java",
    skip: await prepareJava(),
    port: "grpc",
    command: () => javaProgram("Worker"),
  },
  {
    name: "curl/worker.sh",
    skip: missing("bash", "curl", "jq"),
    port: "http",
    command: () => ["bash", `${import.meta.dir}/curl/worker.sh`],
    deaf: "a shell that does one thing at a time promises no heartbeats",
  },
];

for (const example of examples) {
  if (example.skip !== undefined) {
    skipped(example.name, example.skip);
    continue;
  }
  describe(example.name, () => {
    let server: ServerProcess;
    let worker: ChildProcess;
    const said: string[] = [];

    beforeAll(async () => {
      server = await ServerProcess.start();
      for (const name of ["greet", "charge", "count"]) await saveSingle(server, name);
      const address = example.port === "http" ? server.url : `127.0.0.1:${server.grpcPort}`;
      const [program, ...args] = await example.command();
      worker = spawn(program!, [...args, address], {
        env: { ...process.env, ...example.env },
        stdio: ["ignore", "pipe", "ignore"],
      });
      createInterface({ input: worker.stdout! }).on("line", (line) => said.push(line));
    }, testMs);
    afterAll(async () => {
      worker.kill("SIGKILL");
      await server.remove();
    }, testMs);

    const finish = async (name: string, input: object) =>
      ended(server, await start(server, name, input));
    const attempts = ({ actions }: { actions: { attempts: object[] }[] }) =>
      actions[0]!.attempts.length;
    /** Starts an action that has no end, and waits until the worker has begun it. */
    const startEndless = async () => {
      const before = said.length;
      const id = await start(server, "count", { seconds: 3_600 });
      await until(
        async () => said.slice(before).includes("count, attempt 1"),
        (begun) => begun,
      );
      return id;
    };

    test(
      "does the work, tells failures",
      async () => {
        const names = Array.from({ length: 30 }, (_, n) => `Ann ${n}`);
        const greeted = await Promise.all(names.map((name) => finish("greet", { name })));
        expect(greeted.map(({ result }) => result)).toEqual(names.map((n) => `Hello, ${n}!`));
        expect((await finish("charge", { amount: 5 })).result).toEqual({ charged: 5 });

        const declined = await finish("charge", { amount: 5_000 });
        expect([declined.status, declined.error.code]).toEqual(["FAILED", "CARD_DECLINED"]);
        expect(attempts(declined)).toBe(1);
        const nobody = await finish("greet", {});
        expect([nobody.status, nobody.error.code]).toEqual(["FAILED", "NO_NAME"]);
        expect(attempts(nobody)).toBe(2);
      },
      testMs,
    );

    if (example.deaf !== undefined) {
      skipped(`${example.name}: heartbeats, and hearing of a cancel`, example.deaf);
    } else {
      test(
        "keeps its lease with heartbeats, and hears of a cancel",
        async () => {
          // Longer than the silence that its rules allow.
          const slow = await finish("count", { seconds: 2.5 });
          expect([slow.status, attempts(slow)]).toEqual(["COMPLETED", 1]);

          const endless = await startEndless();
          await call(server, "POST", `/v1/executions/${endless}/cancel`, {});
          // It polls again only when its batch is done.
          expect((await finish("greet", { name: "Eve" })).result).toBe("Hello, Eve!");
        },
        testMs,
      );
    }

    test(
      "goes on after the server was killed and started again",
      async () => {
        await server.kill();
        await server.start();
        expect((await finish("greet", { name: "Bob" })).result).toBe("Hello, Bob!");
      },
      testMs,
    );

    test(
      "on SIGTERM gives its task back, no attempt burnt, and ends",
      async () => {
        const id = await startEndless();
        const exit = once(worker, "exit");
        worker.kill("SIGTERM");
        await exit;
        const poll = { actions: ["count"], waitSeconds: 20 };
        const { body } = await call(server, "POST", "/orchy.v1.WorkerService/Poll", poll);
        expect(body.tasks).toMatchObject([{ executionId: id, attempt: 1 }]);
      },
      testMs,
    );
  });
}
