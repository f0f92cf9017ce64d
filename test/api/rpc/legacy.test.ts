/** The legacy wire: both services behave alike, over gRPC and as Connect JSON. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { refusalBy } from "../../../src/api/rpc/legacy-access.ts";
import { limits } from "../../../src/base/limits.ts";
import { ActionResult_Status, ActionService } from "../../../src/gen/legacy/action_service_pb.ts";
import {
  TaskPollRequestSchema,
  TaskResult_Status,
  TaskSchema,
  TaskService,
} from "../../../src/gen/legacy/task_service_pb.ts";
import { oldestFormat } from "../../../src/model/format.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { call as http, saveWorkflow, startExecution, untilEnded } from "../../support/orchy.ts";
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
  const id = await edge.add("old", '{"k":"v","n":[1]}', { actionId: "named" });
  const answer = await tasks().poll({ taskType: "old", batchSize: 10 });
  const [task] = answer.tasks;
  expect(task).toMatchObject({ workflowName: "orders", flowId: id, actionId: 1, taskName: "old" });
  expect(task!.retryCount).toBeGreaterThan(0);
  expect(task?.data.k?.kind).toMatchObject({ case: "stringValue", value: "v" });

  const { flowId, workflowName, actionId, retryCount } = task!;
  const result = { flowId, workflowName, actionId, retryCount, data: { out: text("x") } };
  const refused = [
    { ...result, retryCount: retryCount + 1 },
    { ...result, actionId: 4 },
    { ...result, workflowName: "others" },
    { ...result, flowId: crypto.randomUUID() },
  ];
  for (const each of refused) expect(await tasks().push(each)).toMatchObject({ status: false });
  expect((await edge.actionOf(id)).status).toBe("RUNNING");
  expect(await tasks().push(result)).toMatchObject({ status: true });
  expect(await edge.outputOf(id)).toBe('{"out":"x"}');
});

test("a repeat of an accepted result is true and changes nothing; only its own is", async () => {
  const id = await edge.add("old", "{}", { actionId: 7 });
  const [task] = (await tasks().poll({ taskType: "old", batchSize: 1 })).tasks;
  const { flowId, workflowName, actionId, retryCount } = task!;
  const result = { flowId, workflowName, actionId, retryCount, data: { out: text("x") } };
  const atOnce = await Promise.all([1, 2, 3].map(() => tasks().push(result)));
  expect(atOnce.map(({ status }) => status)).toEqual([true, true, true]);

  const other = { ...result, data: { out: text("other") } };
  expect(await tasks().push(other)).toMatchObject({ status: true });
  expect(await tasks().push({ ...other, actionId: 0 })).toMatchObject({ status: true });
  const { json } = await call(
    `${edge.url}/TaskService/Push`,
    JSON.stringify({ flowId, workflowName, actionId, retryCount }),
  );
  expect(json).toEqual({ status: true });
  for (const wrong of [
    { workflowName: "others" },
    { actionId: 8 },
    { retryCount: retryCount + 1 },
  ]) {
    expect(await tasks().push({ ...result, ...wrong })).toMatchObject({ status: false });
  }
  expect(await edge.outputOf(id)).toBe('{"out":"x"}');
  expect((await edge.actionOf(id)).attempts).toHaveLength(1);
});

test("a result that comes after its lease has lapsed is false, and so is its repeat", async () => {
  await saveWorkflow(edge.server, {
    name: "lapsing",
    rootAction: 1,
    actions: [{ id: 1, type: "user", name: "old", timeoutSeconds: 0.05, retry: { retryCount: 0 } }],
  });
  const id = await startExecution(edge.server, "lapsing");
  const [task] = (await tasks().poll({ taskType: "old", batchSize: 1 })).tasks;
  expect(await untilEnded(edge.server, id)).toMatchObject({ status: "FAILED" });
  const { flowId, workflowName, actionId, retryCount } = task!;
  for (let tries = 0; tries < 2; tries++) {
    const pushed = await tasks().push({ flowId, workflowName, actionId, retryCount });
    expect(pushed).toMatchObject({ status: false });
  }
});

test("ActionService: the same under its own names", async () => {
  const id = await edge.add("old", "{}", { actionId: 7 });
  const { actions: polled } = await actions().poll({ actionType: "old", batchSize: 1 });
  expect(polled).toMatchObject([{ actionName: "old", actionId: 7, type: 1 }]);
  const { flowId, retryCount } = polled[0]!;
  const data = { error: text("no stock") };
  const result = {
    flowId,
    workflowName: "orders",
    retryCount,
    status: ActionResult_Status.FAIL,
    data,
  };
  expect(await actions().push({ ...result, actionId: 8 })).toMatchObject({ status: false });
  for (let tries = 0; tries < 2; tries++) {
    expect(await actions().push(result)).toMatchObject({ status: true });
  }
  const { status, attempts } = await edge.actionOf(id);
  expect(status).toBe("RETRYING");
  expect(attempts).toMatchObject([
    { error: { code: "WORKER_ERROR", message: "no stock", details: { error: "no stock" } } },
  ]);
});

test("the actions of all legacy workers of an address stand in one line", async () => {
  const none = Code.NotFound;
  for (const taskType of ["b", "a", "b"]) {
    expect((await failed(tasks().poll({ taskType, batchSize: 1 })))?.code).toBe(none);
  }
  expect((await failed(actions().poll({ actionType: "c", batchSize: 1 })))?.code).toBe(none);
  const { body } = await http(edge.server, "GET", "/v1/workers");
  expect(body.items).toMatchObject([{ id: "original@127.0.0.1", actions: ["a", "b", "c"] }]);
});

test("a poll takes at most the batch asked for, and one at least", async () => {
  for (let i = 0; i < 5; i++) await edge.add("old", "{}");
  expect((await tasks().poll({ taskType: "old", batchSize: 3 })).tasks).toHaveLength(3);
  expect((await tasks().poll({ taskType: "old", batchSize: -2 })).tasks).toHaveLength(1);
});

test("a task of an older server that many clients cannot decode goes alone", async () => {
  edge.setFormat(oldestFormat);
  const levels = limits.structDepthMax + 1;
  await edge.add("old", "{}");
  const deep = await edge.add("old", `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
  const polled = async () => (await tasks().poll({ taskType: "old", batchSize: 5 })).tasks;
  expect((await polled()).map(({ flowId }) => flowId)).toEqual([deep]);
  expect(await polled()).toHaveLength(1);
});

/** As clients from before October 2022 have it: its answer is one Task. */
const pollOne = { ...TaskService.method.poll, output: TaskSchema };

test("a poll without a batch size is answered with one plain task, except in JSON", async () => {
  const ids = await Promise.all([1, 2, 3, 4].map((n) => edge.add("old", `{"n":${n},"s":"é"}`)));
  const told = new Set<string>();
  for (const transport of [
    createGrpcTransport({ baseUrl: edge.grpcUrl }),
    createGrpcWebTransport({ baseUrl: edge.url, httpVersion: "2" }),
    createConnectTransport({ baseUrl: edge.url, httpVersion: "1.1", useBinaryFormat: true }),
  ]) {
    const sent = create(TaskPollRequestSchema, { taskType: "old" });
    const { message: task } = await transport.unary(pollOne, undefined, 5_000, undefined, sent);
    expect(task).toMatchObject({ workflowName: "orders", actionId: 1, taskName: "old" });
    expect(task.data.s?.kind).toEqual({ case: "stringValue", value: "é" });
    expect(Number(task.data.n?.kind.value)).toBe(ids.indexOf(task.flowId) + 1);
    expect(task).not.toHaveProperty("$unknown");
    const { flowId, workflowName, actionId, retryCount } = task;
    const pushed = await tasks().push({ flowId, workflowName, actionId, retryCount });
    expect(pushed).toMatchObject({ status: true });
    told.add(flowId);
  }
  const { json } = await call(`${edge.url}/TaskService/Poll`, '{"taskType":"old"}');
  expect(json.tasks).toMatchObject([{ workflowName: "orders", taskName: "old" }]);
  expect(told.add(json.tasks[0].flowId).size).toBe(4);
  const none = create(TaskPollRequestSchema, { taskType: "old" });
  const transport = createGrpcTransport({ baseUrl: edge.grpcUrl });
  const polled = transport.unary(pollOne, undefined, 5_000, undefined, none);
  expect((await failed(polled))?.code).toBe(Code.NotFound);
  const later = await edge.add("old", "{}");
  const { actions: one } = await actions().poll({ actionType: "old" });
  expect(one.map(({ flowId }) => flowId)).toEqual([later]);
});

test("no task: NOT_FOUND, at once; no heartbeats: the lease lasts for the attempt", async () => {
  expect((await failed(tasks().poll({ taskType: "old", batchSize: 1 })))?.code).toBe(Code.NotFound);
  const answer = await call(`${edge.url}/ActionService/Poll`, '{"actionType":"old"}');
  expect([answer.status, answer.code]).toEqual([404, "not_found"]);
  const id = await edge.add("old", "{}");
  expect((await tasks().poll({ taskType: "old", batchSize: 1 })).tasks).toHaveLength(1);
  const [attempt] = (await edge.actionOf(id)).attempts;
  const leaseMs = Date.parse(attempt.leaseUntil) - Date.parse(attempt.startedAt);
  expect(leaseMs).toBe(limits.attemptTimeoutSecondsDefault * 1000);
});

test("Connect JSON on the HTTP port", async () => {
  const id = await edge.add("old", '{"k":"v"}');
  const polled = await call(`${edge.url}/TaskService/Poll`, '{"taskType":"old","batchSize":1}');
  expect(polled.json.tasks).toEqual([
    {
      workflowName: "orders",
      flowId: id,
      data: { k: "v" },
      actionId: 1,
      taskName: "old",
      retryCount: expect.any(Number),
    },
  ]);
  const result = { ...polled.json.tasks[0], data: { error: 5, message: "m" }, status: "FAIL" };
  const pushed = await call(`${edge.url}/TaskService/Push`, JSON.stringify(result));
  expect(pushed.json).toEqual({ status: true });
  expect((await edge.actionOf(id)).attempts).toMatchObject([{ error: { message: "m" } }]);
});

test("definitions: zero retries are a choice, no time and no policy are none", async () => {
  await tasks().saveTaskDef({ name: "a" });
  const whole = { name: "b", retryCount: 2, retryAfterSeconds: 3, timeoutSeconds: 9 };
  await actions().saveActionDefinition({ ...whole, retryPolicy: "FIXED" });
  const { body } = await http(edge.server, "GET", "/v1/actions");
  const saved = body.items.map(({ definition }: { definition: unknown }) => definition);
  expect(saved).toEqual([
    { name: "a", retryCount: 0, retryAfterSeconds: 0 },
    { ...whole, retryPolicy: "FIXED" },
  ]);
  const error = await failed(tasks().saveTaskDef({ name: "c", retryCount: -1 }));
  expect(error?.code).toBe(Code.InvalidArgument);
});

test("the servers that workers dial: never none", async () => {
  const expected = [{ rpcAddr: edge.grpcUrl.replace("http://", "") }];
  expect((await tasks().getServers({})).servers).toMatchObject(expected);
  expect((await actions().getServers({})).servers).toMatchObject(expected);
  edge.store.listServers = async () => [];
  expect((await tasks().getServers({})).servers).toMatchObject(expected);
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
});

test("a result that the store cannot take now is to be sent again", async () => {
  const id = await edge.add("old", "{}");
  const [task] = (await tasks().poll({ taskType: "old", batchSize: 1 })).tasks;
  const { flowId, workflowName, actionId, retryCount } = task!;
  const result = { flowId, workflowName, actionId, retryCount };
  const { commit } = edge.store;
  edge.store.commit = async () => {
    throw new StoreFault("not_applied", "away");
  };
  expect((await failed(tasks().push(result)))?.code).toBe(Code.Unavailable);
  edge.store.commit = commit;
  expect(await tasks().push(result)).toMatchObject({ status: true });
  expect(await edge.outputOf(id)).toBe("{}");
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
  ["mtls", "127.0.0.1", false],
] as const)("--legacy-workers %s: a caller from %s is served: %p", (rule, address, served) => {
  const refusal = refusalBy(rule, { peer: () => ({ address, verified: false }) });
  if (served) expect(refusal).toBeUndefined();
  else expect(refusal).toContain("--legacy-workers");
});
