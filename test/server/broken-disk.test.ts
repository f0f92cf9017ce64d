/** A disk that did not keep the log: only a restart helps, and the server says so. */
import { afterEach, expect, test } from "bun:test";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { temporaryFolder } from "../store/temporary.ts";
import { call, saveWorkflow, startTestServer, type TestServer } from "../support/orchy.ts";
import { single } from "./calls.ts";

const folder = temporaryFolder();
let server: TestServer | undefined;

afterEach(async () => {
  await server?.remove();
  folder.remove();
});

test("a failed sync turns liveness red, and the process stays up", async () => {
  let fault: Error | null = null;
  const disk = {
    sync() {
      if (fault !== null) throw fault;
    },
    syncAside: (_: number, callback: (error: Error | null) => void) => callback(fault),
  };
  const store = openSqliteStore({ path: `${folder.path}/orchy.db`, namespace: "orchy", disk });
  server = await startTestServer({ parts: { store } });
  await saveWorkflow(server, single("one"));
  const live = () => call(server!, "GET", "/health/live");
  expect(await live()).toEqual({ status: 200, body: { status: "live" } });
  fault = new Error("EIO: i/o error, fdatasync");
  const start = () => call(server!, "POST", "/v1/executions", { workflow: "one" });
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
  expect((await call(server, "GET", "/health/ready")).status).toBe(503);
});
