/** A store that is nearly full: nothing new begins, what runs goes on, and callers get errors. */
import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { temporaryFolder } from "../store/temporary.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, poll, single } from "./calls.ts";

const folder = temporaryFolder();
let server: TestServer;

afterEach(async () => {
  await server.remove();
  folder.remove();
});

const start = () =>
  fetch(`${server.url}/v1/executions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ workflow: "full", input: { text: "x".repeat(100_000) } }),
  });

const ready = () => call(server, "GET", "/health/ready");

test("starts are refused with a time to come back; results and signals are taken", async () => {
  const path = `${folder.path}/orchy.db`;
  const store = openSqliteStore({ path, namespace: "orchy", pagesMax: 2_000 });
  const lines: { message: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const log = createLogger({ level: "warn", clock: systemClock, write });
  server = await startTestServer({ parts: { store, log } });
  await saveWorkflow(server, single("full"));
  await saveWorkflow(server, {
    name: "signalled",
    rootAction: 1,
    actions: [{ id: 1, type: "system", name: "wait", event: "go" }],
  });
  const waiting = await startExecution(server, "signalled");
  expect((await ready()).status).toBe(200);

  let started = 0;
  for (; (await ready()).status === 200; started++) expect((await start()).status).toBe(202);
  expect(started).toBeGreaterThan(10);
  const refused = await start();
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  const { error } = (await refused.json()) as { error: { code: string; message: string } };
  expect(error.code).toBe("RESOURCE_EXHAUSTED");
  expect(error.message).toMatch(/^9\d % of the store's room is used/);
  expect((await ready()).body.checks.store.ok).toBe(false);
  expect((await call(server, "POST", "/flow/execute", { name: "full" })).status).toBe(503);

  const tasks = await poll(server, { actions: ["full"], maxTasks: 5 });
  expect(tasks).toHaveLength(5);
  const results = tasks.map((task) => done(task));
  expect(await complete(server, ...results)).toEqual(Array(5).fill("ACCEPTED"));
  await call(server, "POST", `/v1/executions/${waiting}/signal`, { event: "go", payload: 1 });
  expect(await untilEnded(server, waiting)).toMatchObject({ status: "COMPLETED" });

  for (const { executionId } of tasks) {
    expect((await call(server, "DELETE", `/v1/executions/${executionId}`)).status).toBe(204);
  }
  expect((await ready()).status).toBe(200);
  expect((await start()).status).toBe(202);
  // However many were refused; a busy machine may hold the main thread, which is another matter.
  const told = lines.map(({ message }) => message).filter((one) => one.includes("the store"));
  expect(told).toEqual([
    "the store is nearly full: starts are refused",
    "the store has room again: starts are taken",
  ]);
});

test("around the bound nothing flaps: starts are taken again where 1 % less is used", async () => {
  const path = `${folder.path}/orchy.db`;
  const store = openSqliteStore({ path, namespace: "orchy", pagesMax: 2_000 });
  const lines: { message: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const log = createLogger({ level: "warn", clock: systemClock, write });
  server = await startTestServer({ flags: ["--keep-retention"], parts: { store, log } });
  const definition = { id: 1, type: "system", name: "transform", parameters: { done: true } };
  await saveWorkflow(server, { name: "quick", rootAction: 1, actions: [definition] });
  const input = { text: "x".repeat(10_000) };
  const ids: string[] = [];
  while ((await ready()).status === 200) {
    ids.push(...(await Promise.all([1, 2, 3].map(() => startExecution(server, "quick", input)))));
  }
  for (const id of ids) await untilEnded(server, id);
  const startOne = () => call(server, "POST", "/v1/executions", { workflow: "quick", input });
  let deleted = 0;
  for (; (await ready()).status === 503; deleted++) {
    expect((await startOne()).status).toBe(503);
    expect((await call(server, "DELETE", `/v1/executions/${ids[deleted]}`)).status).toBe(204);
  }
  // Each is a little more than one thousandth of the store, and the last three went beyond the
  // bound.
  expect(deleted).toBeGreaterThan(6);
  for (let i = 0; i < 3; i++) expect((await startOne()).status).toBe(202);
  expect((await ready()).status).toBe(200);
  const told = lines.map(({ message }) => message).filter((one) => one.includes("the store"));
  expect(told).toEqual([
    "the store is nearly full: starts are refused",
    "the store has room again: starts are taken",
  ]);
});
