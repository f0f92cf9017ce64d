/** What is counted adds up to what was done, as seen over the real edge. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { limits } from "../../src/base/limits.ts";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { readMetrics, type Samples, total, untilParked } from "../support/metrics.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, failed, poll, pollOne, service, single } from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

/** How much each sum has grown between two looks. */
function growth(before: Samples, after: Samples) {
  return (name: string, ...parts: string[]) =>
    total(after, name, ...parts) - total(before, name, ...parts);
}

test("executions, tasks, results, timers, scripts and calls of the store", async () => {
  await saveWorkflow(server, {
    name: "counted",
    rootAction: "s",
    actions: [
      {
        id: "s",
        type: "system",
        name: "javascript",
        expression: "$.x = 1",
        next: { default: "d" },
      },
      { id: "d", type: "system", name: "delay", delaySeconds: 0.01, next: { default: "u" } },
      { id: "u", type: "user", name: "counted", retry: { retryCount: 0 } },
    ],
  });
  await saveWorkflow(server, {
    name: "throws",
    rootAction: "s",
    actions: [{ id: "s", type: "system", name: "javascript", expression: "throw 1" }],
  });
  const before = await readMetrics(server);
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push(await startExecution(server, "counted"));
  const thrown = await startExecution(server, "throws");
  for (let i = 0; i < 3; i++) {
    const task = await pollOne(server, "counted");
    const result = i === 0 ? failed(task, "BAD") : done(task);
    const late = { ...result, token: result.token.replace(task.executionId, crypto.randomUUID()) };
    expect(await complete(server, result, result, late)).toEqual([
      "ACCEPTED",
      "DUPLICATE",
      "STALE",
    ]);
  }
  for (const id of [...ids, thrown]) await untilEnded(server, id);

  const after = await readMetrics(server);
  const grown = growth(before, after);
  expect(grown("orchy_executions_started_total", 'workflow="counted"')).toBe(3);
  expect(grown("orchy_executions_ended_total", 'workflow="counted"', '"COMPLETED"')).toBe(2);
  expect(grown("orchy_executions_ended_total", 'workflow="counted"', '"FAILED"')).toBe(1);
  expect(grown("orchy_executions_ended_total", 'workflow="throws"', '"FAILED"')).toBe(1);
  expect(grown("orchy_tasks_handed_out_total")).toBe(3);
  expect(grown("orchy_task_wait_seconds_count")).toBe(3);
  expect(grown("orchy_task_run_seconds_count")).toBe(3);
  for (const status of ["accepted", "duplicate", "stale"]) {
    expect(grown("orchy_task_results_total", `"${status}"`)).toBe(3);
  }
  expect(grown("orchy_timer_lateness_seconds_count", '"timer"')).toBe(3);
  expect(grown("orchy_script_seconds_count", '"ok"')).toBe(3);
  expect(grown("orchy_script_seconds_count", '"SCRIPT_ERROR"')).toBe(1);
  expect(grown("orchy_store_call_seconds_count", '"create"', '"created"')).toBe(4);
  expect(grown("orchy_store_call_seconds_count", '"commit"', '"committed"')).toBeGreaterThan(5);
  expect(after.get("orchy_repairs_total")).toBe(0);
  expect(after.get("orchy_mailboxes")).toBe(0);
});

test("a result that is brought by a poll counts as one that is brought alone", async () => {
  await saveWorkflow(server, single("polled"));
  const id = await startExecution(server, "polled");
  const before = await readMetrics(server);
  const task = await pollOne(server, "polled");
  await poll(server, { actions: ["polled"], waitSeconds: 0, results: [done(task)] });
  await untilEnded(server, id);
  const grown = growth(before, await readMetrics(server));
  expect(grown("orchy_task_results_total", '"accepted"')).toBe(1);
  expect(grown("orchy_tasks_handed_out_total")).toBe(1);
});

test("requests by route and status, whatever the caller writes into the path", async () => {
  const before = await readMetrics(server);
  await call(server, "GET", "/v1/executions/nobody");
  await call(server, "GET", "/v1/executions/somebody");
  await call(server, "GET", "/v1/nothing-here");
  await service(server, "Complete", { results: [] });
  await call(server, "POST", "/orchy.v1.WorkerService/Poll", { actions: 7 });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.grpcPort}` });
  await createClient(TaskService, transport)
    .poll({ taskType: "none" })
    .catch(() => {});
  const grown = growth(before, await readMetrics(server));
  const rest = "orchy_rest_requests_total";
  expect(grown(rest, 'route="/v1/executions/{id}"', 'status="404"')).toBe(2);
  expect(grown(rest, 'route="none"', 'status="404"')).toBe(1);
  expect(grown(rest, 'route="/metrics"', 'status="200"')).toBe(1);
  const rpc = "orchy_rpc_requests_total";
  expect(grown(rpc, "WorkerService/Complete", '"ok"')).toBe(1);
  expect(grown(rpc, "WorkerService/Poll", '"invalid_argument"')).toBe(1);
  expect(grown(rpc, "TaskService/Poll", '"not_found"')).toBe(1);
});

test("polls that wait are counted while they do", async () => {
  const waiting = poll(server, { actions: ["parked"], waitSeconds: 30 });
  await untilParked(server, 1);
  await saveWorkflow(server, single("parked"));
  await startExecution(server, "parked");
  expect(await waiting).toHaveLength(1);
  await untilParked(server, 0);
});

test("a crowd of workflows shares one name", async () => {
  const before = await readMetrics(server);
  for (let i = 0; i < limits.metricWorkflowsMax; i++) {
    await saveWorkflow(server, single(`crowd-${i}`));
    await startExecution(server, `crowd-${i}`);
  }
  const after = await readMetrics(server);
  const started = [...after.keys()].filter((key) => key.startsWith("orchy_executions_started"));
  expect(started).toHaveLength(limits.metricWorkflowsMax + 1);
  const name = "orchy_executions_started_total";
  expect(total(after, name) - total(before, name)).toBe(limits.metricWorkflowsMax);
  expect(total(after, name, 'workflow="other"')).toBeGreaterThan(0);
});

test("the process and its event loop", async () => {
  const samples = await readMetrics(server);
  expect(samples.get("orchy_uptime_seconds")).toBeGreaterThan(0);
  expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  expect(samples.get("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(samples.get("orchy_event_loop_lag_seconds_count")).toBeGreaterThan(0);
});
