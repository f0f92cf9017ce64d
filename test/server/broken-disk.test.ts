/** A disk that did not keep the log: what helps, and what the server says. */
import { afterEach, expect, test } from "bun:test";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { temporaryFolder } from "../store/temporary.ts";
import { call, saveWorkflow, startTestServer, type TestServer } from "../support/orchy.ts";
import { until } from "../support/redis.ts";
import { single } from "./calls.ts";

let folder: ReturnType<typeof temporaryFolder>;
let server: TestServer | undefined;

let fault: Error | null;

afterEach(async () => {
  await server?.remove();
  folder.remove();
});

async function startServer(): Promise<void> {
  folder = temporaryFolder();
  fault = null;
  const disk = {
    sync() {
      if (fault !== null) throw fault;
    },
    syncAside: (_: number, callback: (error: Error | null) => void) => callback(fault),
  };
  const store = openSqliteStore({ path: `${folder.path}/orchy.db`, namespace: "orchy", disk });
  server = await startTestServer({ parts: { store } });
  await saveWorkflow(server, single("one"));
}

const live = () => call(server!, "GET", "/health/live");
const ready = () => call(server!, "GET", "/health/ready");
const start = () => call(server!, "POST", "/v1/executions", { workflow: "one" });

test("a failed sync turns liveness red, and the process stays up", async () => {
  await startServer();
  expect(await live()).toEqual({ status: 200, body: { status: "live" } });
  fault = new Error("EIO: i/o error, fdatasync");
  expect((await start()).status).toBeGreaterThanOrEqual(500);
  fault = null;
  expect((await start()).status).toBe(503);
  expect(await live()).toEqual({
    status: 503,
    body: {
      status: "broken",
      reason: "The disk did not keep the log (EIO: i/o error, fdatasync); start the server anew.",
    },
  });
  expect((await ready()).status).toBe(503);
});

test("a sync that found no room refuses everything until there is some, and is no reason to restart", async () => {
  await startServer();
  const { id } = (await start()).body;
  fault = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  expect((await start()).status).toBeGreaterThanOrEqual(500);
  const refused = await start();
  expect([refused.status, refused.body.error.code]).toEqual([503, "RESOURCE_EXHAUSTED"]);
  expect((await live()).status).toBe(200);
  expect((await ready()).status).toBe(503);
  fault = null;
  await until(async () => (await ready()).status === 200);
  expect((await start()).status).toBe(202);
  expect((await call(server!, "GET", `/v1/executions/${id}`)).body.status).toBe("RUNNING");
});
