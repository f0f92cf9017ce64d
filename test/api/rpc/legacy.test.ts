/** The original wire: both services behave alike, over gRPC and as Connect JSON. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createTaskService } from "../../../src/api/rpc/legacy-service.ts";
import { ActionService } from "../../../src/gen/legacy/action_service_pb.ts";
import { EmptyRequestSchema } from "../../../src/gen/legacy/common_pb.ts";
import { TaskResult_Status, TaskService } from "../../../src/gen/legacy/task_service_pb.ts";
import { limits } from "../../../src/limits.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call } from "./http.ts";

let edge: Edge;

beforeEach(async () => {
  edge = await startEdge();
});
afterEach(() => edge.stop());

const tasks = () => createClient(TaskService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
const actions = () => createClient(ActionService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
const text = (value: string) => create(ValueSchema, { kind: { case: "stringValue", value } });
const failed = (sent: Promise<unknown>) =>
  sent.then(
    () => undefined,
    (error) => ConnectError.from(error),
  );

test("TaskService: a task goes out with its number, and its result fences later ones", async () => {
  edge.desk.add("old", '{"k":"v","n":[1]}', { actionId: "named" });
  const answer = await tasks().poll({ taskType: "old", batchSize: 10 });
  const [task] = answer.tasks;
  expect(task).toMatchObject({
    workflowName: "orders",
    flowId: "execution-1",
    actionId: 1_000_001,
    taskName: "old",
    retryCount: 1,
  });
  expect(task?.data.k?.kind).toMatchObject({ case: "stringValue", value: "v" });

  const { flowId, workflowName, actionId, retryCount } = task!;
  const result = { flowId, workflowName, actionId, retryCount, data: { out: text("x") } };
  expect(await tasks().push({ ...result, retryCount: 9 })).toMatchObject({ status: false });
  expect(await tasks().push({ ...result, actionId: 4 })).toMatchObject({ status: false });
  expect(await tasks().push(result)).toMatchObject({ status: true });
  expect(await tasks().push(result)).toMatchObject({ status: true });
  expect([...edge.desk.settled.values()]).toEqual([{ ok: true, output: '{"out":"x"}' }]);
});

test("ActionService: the same under its own names", async () => {
  edge.desk.add("old", "{}", { actionId: 7 });
  const { actions: polled } = await actions().poll({ actionType: "old", batchSize: 1 });
  expect(polled).toMatchObject([{ actionName: "old", actionId: 7, type: 1, retryCount: 1 }]);
  const { flowId, retryCount } = polled[0]!;
  const data = { error: text("no stock") };
  await actions().push({ flowId, workflowName: "orders", retryCount, status: 1, data });
  expect([...edge.desk.settled.values()]).toEqual([
    {
      ok: false,
      failure: { code: "WORKER_ERROR", message: "no stock", details: { error: "no stock" } },
      retryable: true,
    },
  ]);
});

test("a poll takes at most the batch asked for, and one when none is asked for", async () => {
  for (let i = 0; i < 5; i++) edge.desk.add("old", "{}");
  expect((await tasks().poll({ taskType: "old", batchSize: 3 })).tasks).toHaveLength(3);
  expect((await tasks().poll({ taskType: "old", batchSize: -2 })).tasks).toHaveLength(1);
});

test("no task: NOT_FOUND, at once", async () => {
  expect((await failed(tasks().poll({ taskType: "old", batchSize: 1 })))?.code).toBe(Code.NotFound);
  const answer = await call(`${edge.url}/ActionService/Poll`, '{"actionType":"old"}');
  expect([answer.status, answer.code]).toEqual([404, "not_found"]);
  expect(edge.desk.lastPoll).toMatchObject({ waitMs: 0, heartbeats: false });
});

test("Connect JSON on the HTTP port", async () => {
  edge.desk.add("old", '{"k":"v"}');
  const polled = await call(`${edge.url}/TaskService/Poll`, '{"taskType":"old","batchSize":1}');
  expect(polled.json.tasks).toEqual([
    {
      workflowName: "orders",
      flowId: "execution-1",
      data: { k: "v" },
      actionId: 1,
      taskName: "old",
      retryCount: 1,
    },
  ]);
  const result = { ...polled.json.tasks[0], data: { error: 5, message: "m" }, status: "FAIL" };
  const pushed = await call(`${edge.url}/TaskService/Push`, JSON.stringify(result));
  expect(pushed.json).toEqual({ status: true });
  expect([...edge.desk.settled.values()]).toMatchObject([{ failure: { message: "m" } }]);
});

test("definitions: zero retries are a choice, no time and no policy are none", async () => {
  await tasks().saveTaskDef({ name: "a" });
  const whole = { name: "b", retryCount: 2, retryAfterSeconds: 3, timeoutSeconds: 9 };
  await actions().saveActionDefinition({ ...whole, retryPolicy: "FIXED" });
  expect(edge.desk.saved).toEqual([
    { name: "a", retryCount: 0, retryAfterSeconds: 0 },
    { ...whole, retryPolicy: "FIXED" },
  ]);
  const error = await failed(tasks().saveTaskDef({ name: "bad", retryCount: -1 }));
  expect(error?.code).toBe(Code.InvalidArgument);
});

test("the servers that workers dial", async () => {
  const expected = [{ id: "server-1", rpcAddr: "127.0.0.1:8099" }];
  expect((await tasks().getServers({})).servers).toMatchObject(expected);
  expect((await actions().getServers({})).servers).toMatchObject(expected);
  edge.desk.servers = async () => [];
  expect((await failed(tasks().getServers({})))?.code).toBe(Code.Unavailable);
});

test("results that no server could take are refused", async () => {
  const huge = { text: text("x".repeat(limits.payloadBytesMax)) };
  const nan = { n: create(ValueSchema, { kind: { case: "numberValue", value: Number.NaN } }) };
  for (const data of [huge, nan]) {
    const sent = tasks().push({ flowId: "f", data, status: TaskResult_Status.SUCCESS });
    expect((await failed(sent))?.code).toBe(Code.InvalidArgument);
  }
  expect((await failed(tasks().push({})))?.code).toBe(Code.InvalidArgument);
  expect((await failed(tasks().poll({})))?.code).toBe(Code.InvalidArgument);
  edge.desk.completeByHandout = async () => "retry";
  expect((await failed(tasks().push({ flowId: "f" })))?.code).toBe(Code.Unavailable);
});

test.each([
  ["loopback", "127.0.0.1", true],
  ["loopback", "127.8.0.1", true],
  ["loopback", "::1", true],
  ["loopback", "::ffff:127.0.0.1", true],
  ["loopback", "10.0.0.5", false],
  ["loopback", "::ffff:10.0.0.5", false],
  ["loopback", "127.0.0.1.example", false],
  ["loopback", undefined, false],
  ["open", "10.0.0.5", true],
] as const)(
  "--legacy-workers %s: a caller from %s is served: %p",
  async (rule, address, served) => {
    const service = createTaskService({ orchestrator: edge.desk, legacyWorkers: rule });
    const peer = () => ({ address, verified: false });
    const { signal } = new AbortController();
    const answer = service.getServers(create(EmptyRequestSchema), {
      signal,
      timeoutMs: undefined,
      peer,
    });
    const outcome = await answer.then(
      () => "served",
      (error) => error.code,
    );
    expect(outcome).toBe(served ? "served" : "FORBIDDEN");
  },
);

test("--legacy-workers mtls: nobody is served without a certificate", async () => {
  await edge.stop();
  edge = await startEdge({ legacyWorkers: "mtls" });
  const error = await failed(tasks().getServers({}));
  expect(error?.code).toBe(Code.PermissionDenied);
  expect(error?.rawMessage).toContain("--legacy-workers mtls");
  const answer = await call(`${edge.url}/TaskService/GetServers`, "{}");
  expect([answer.status, answer.code]).toEqual([403, "permission_denied"]);
});
