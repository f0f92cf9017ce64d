/** A Go worker of the original wire, built from its table of fields alone, for both services. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { call } from "../support/orchy.ts";
import { ended, saveSingle, start, until } from "./support/desk.ts";
import { skipped, testMs } from "./support/scenario.ts";
import { ServerProcess } from "./support/server-process.ts";
import { goProgram, prepareGo } from "./support/toolchains.ts";

/** A line that the worker writes. */
interface Said {
  readonly joined?: string;
  readonly left?: string;
  readonly action?: string;
  readonly retryCount?: number;
  readonly accepted?: boolean;
}

const seed = join(import.meta.dir, "../../examples/seed.json");
const skip = await prepareGo();

for (const [service, program] of [
  ["TaskService", "task"],
  ["ActionService", "action"],
] as const) {
  if (skip !== undefined) {
    skipped(`original ${service}`, skip);
    continue;
  }
  describe(`original ${service}`, () => {
    let server: ServerProcess;
    let worker: ChildProcess;
    const said: Said[] = [];
    const pushesOf = (name: string) => said.filter(({ action }) => action === name);
    const untilPushed = (name: string, times: number) =>
      until(
        async () => pushesOf(name).length,
        (count) => count >= times,
      );

    beforeAll(async () => {
      server = await ServerProcess.start();
      worker = spawn(goProgram(program), [`127.0.0.1:${server.grpcPort}`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      createInterface({ input: worker.stdout! }).on("line", (line) => said.push(JSON.parse(line)));
    }, testMs);
    afterAll(async () => {
      worker.kill("SIGTERM");
      await once(worker, "exit");
      await server.remove();
    }, testMs);

    test(
      "the worker asks who is there, and dials what it hears",
      async () => {
        await until(
          async () => said.some(({ joined }) => joined !== undefined),
          (joined) => joined,
        );
        expect(said[0]).toEqual({ joined: `127.0.0.1:${server.grpcPort}` });
      },
      testMs,
    );

    test(
      "seed.json runs to its end",
      async () => {
        const definition = await Bun.file(seed).text();
        expect((await call(server, "POST", "/workflow", definition)).status).toBe(200);
        const started = await call(server, "POST", "/flow/execute", {
          name: "test_workflow",
          input: { age: 89 },
        });
        const id: string = started.body.flowId;
        const path = `/execution/test_workflow/${id}`;
        await until(
          async () => (await call(server, "GET", path)).body.state,
          (state) => state === "EVENT WAITING",
        );
        const event = { name: "test_workflow", flowId: id, event: "test" };
        expect((await call(server, "POST", "/flow/event", event)).status).toBe(200);
        await ended(server, id);
        const { body } = await call(server, "GET", path);
        expect(body).toMatchObject({ state: "COMPLETED", executedActions: [1, 6, 7, 2, 3, 4] });
        expect(body.data["4"].output).toEqual({ k1: 23, k2: "200", k3: "nesX" });
      },
      testMs,
    );

    test(
      "a repeated push changes nothing, and is told to be fine",
      async () => {
        await saveSingle(server, "pushed-thrice");
        const id = await start(server, "pushed-thrice", { n: 1 });
        const { status, result, actions } = await ended(server, id);
        expect([status, result, actions[0].attempts.length]).toEqual(["COMPLETED", { n: 1 }, 1]);
        await untilPushed("pushed-thrice", 3);
        expect(pushesOf("pushed-thrice").map(({ accepted }) => accepted)).toEqual([
          true,
          true,
          true,
        ]);
      },
      testMs,
    );

    test(
      "a push that is late is refused, and its retry counts",
      async () => {
        await saveSingle(server, "late-once");
        const id = await start(server, "late-once", { n: 1 });
        const { status, actions } = await ended(server, id);
        expect(status).toBe("COMPLETED");
        expect(actions[0].attempts).toMatchObject([{ error: { code: "TIMEOUT" } }, { number: 2 }]);
        await untilPushed("late-once", 2);
        expect(pushesOf("late-once")).toContainEqual({
          action: "late-once",
          retryCount: 1,
          accepted: false,
        });
      },
      testMs,
    );

    // The delays may be a fifth shorter or longer, by chance.
    test.each([
      ["FIXED", "fails-fixed", [0.8, 0.8]],
      ["BACKOFF", "fails-backoff", [0.8, 1.6]],
    ] as const)(
      "a failing action is retried by retryCount, retryAfterSeconds and %s",
      async (_policy, name, leastSeconds) => {
        await saveSingle(server, name);
        const { status, error, actions } = await ended(server, await start(server, name));
        expect([status, error.message]).toEqual(["FAILED", "no stock"]);
        const attempts: { startedAt: string; endedAt: string }[] = actions[0].attempts;
        expect(attempts).toHaveLength(3);
        for (const [index, least] of leastSeconds.entries()) {
          const gapMs =
            Date.parse(attempts[index + 1]!.startedAt) - Date.parse(attempts[index]!.endedAt);
          expect(gapMs).toBeGreaterThanOrEqual(least * 1_000);
        }
      },
      testMs,
    );

    skipped(
      `original ${service}: a server that joins, and one that leaves`,
      "several servers need a shared store, which is not built yet",
    );
  });
}
