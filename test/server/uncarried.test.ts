/** Tasks that fit no `google.protobuf.Struct`, at the real edge: which workers are given them. */
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { ActionService } from "../../src/gen/legacy/action_service_pb.ts";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { PayloadFormat, WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";

// These move megabytes.
setDefaultTimeout(30_000);

const nested = (levels: number): unknown => (levels === 1 ? {} : { a: nested(levels - 1) });
const deep = nested(limits.structDepthMax + 1);
/** 0.8 MB of text, 4.4 MB as Struct. */
const large = { items: Array(400_000).fill(1) };

let redis: RedisServer | undefined;
beforeAll(async () => {
  if (redisMissing === undefined) redis = await startRedis();
});
afterAll(() => redis?.stop());

const servers: TestServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.remove();
});

async function open(options: Parameters<typeof startTestServer>[0]): Promise<TestServer> {
  const server = await startTestServer(options);
  servers.push(server);
  return server;
}

const heavy = { id: 1, type: "user", name: "heavy", parameters: "$.input" };

const actionOf = async (server: TestServer, id: string) =>
  (await call(server, "GET", `/v1/executions/${id}`)).body.actions[0];

const worker = (transport: Transport) => createClient(WorkerService, transport);
const grpc = (server: TestServer) =>
  createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.grpcPort}` });
const binary = { httpVersion: "2", useBinaryFormat: true } as const;

/** All who are given parameters as Struct or Value in binary: how many tasks each is given. */
async function pollForStruct(server: TestServer): Promise<number[]> {
  const web = [createConnectTransport, createGrpcWebTransport].map((make) =>
    make({ baseUrl: server.url, ...binary }),
  );
  const counts: number[] = [];
  for (const transport of [grpc(server), ...web]) {
    const { tasks } = await worker(transport).poll({ actions: ["heavy"], maxTasks: 10 });
    counts.push(tasks.length);
  }
  const batch = { taskType: "heavy", actionType: "heavy", batchSize: 10 };
  const legacy = [
    () => createClient(TaskService, grpc(server)).poll(batch),
    () => createClient(TaskService, grpc(server)).poll({ ...batch, batchSize: 0 }),
    () => createClient(ActionService, grpc(server)).poll(batch),
  ];
  for (const poll of legacy) {
    const code = await poll().then(
      () => "given",
      (error) => ConnectError.from(error).code,
    );
    expect(code).toBe(Code.NotFound);
  }
  return counts;
}

const stores = [
  ["SQLite", 1],
  ["Redis", 2],
] as const;

for (const [name, count] of stores) {
  test.skipIf(name === "Redis" && redisMissing !== undefined)(
    `${name}, ${count} server(s): what fits no Struct is left for workers that take JSON`,
    async () => {
      const store = name === "Redis" ? `redis://127.0.0.1:${redis!.port}` : undefined;
      for (let i = 0; i < count; i++) await open({ ...(store !== undefined && { store }) });
      const [first, last] = [servers[0]!, servers.at(-1)!];
      await saveWorkflow(first, { name: "heavy", rootAction: 1, actions: [heavy] });
      const [a, b] = [
        await startExecution(first, "heavy", deep),
        await startExecution(first, "heavy", large),
      ];
      const small = await startExecution(first, "heavy", {});
      expect(await pollForStruct(first)).toEqual([1, 0, 0]);
      expect(await pollForStruct(last)).toEqual([0, 0, 0]);
      expect((await actionOf(first, small)).status).toBe("RUNNING");
      for (const id of [a, b]) {
        const waiting = { status: "SCHEDULED", waitingFor: "json", attempts: [] };
        expect(await actionOf(last, id)).toMatchObject(waiting);
      }
      const { body } = await call(first, "GET", "/v1/actions/heavy");
      expect(body.queues).toMatchObject([{ queue: "default", queued: 2, running: 1 }]);

      // JSON with curl, where parameters are plain.
      const given = await call(last, "POST", "/orchy.v1.WorkerService/Poll", {
        actions: ["heavy"],
        maxTasks: 1,
        waitSeconds: 10,
      });
      const [task] = given.body.tasks;
      expect([deep, large]).toContainEqual(task.parameters);
      // The same with the legacy service, which has no other format in JSON.
      const rest = await call(last, "POST", "/TaskService/Poll", { taskType: "heavy" });
      expect([task.executionId, rest.body.tasks[0].flowId].sort()).toEqual([a, b].sort());

      // One that waits at another server is given what is made here.
      const payloadFormat = PayloadFormat.JSON;
      const wait = { actions: ["heavy"], waitSeconds: 20 };
      const parked = worker(grpc(last)).poll({ ...wait, payloadFormat });
      const c = await startExecution(first, "heavy", deep);
      const [taken] = (await parked).tasks;
      expect([taken?.executionId, taken?.attempt]).toEqual([c, 1]);
      expect(JSON.parse(Buffer.from(taken!.parametersJson).toString())).toEqual(deep);
    },
  );
}

test("where only polls for Struct come, it fails after a minute, and others go on", async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const lines: string[] = [];
  const log = createLogger({ level: "warn", clock, write: (line) => lines.push(line) });
  const store = new MemoryStore({ partitions: 4 });
  const server = await open({ store: "memory:", parts: { store, clock, log } });
  const handler = { id: 2, type: "user", name: "handle" };
  await saveWorkflow(server, {
    name: "heavy",
    rootAction: 1,
    actions: [{ ...heavy, onError: { STRUCT_TOO_DEEP: 2 } }, handler],
  });
  const ids = [
    await startExecution(server, "heavy", deep),
    await startExecution(server, "heavy", large),
  ];
  const client = worker(grpc(server));
  const warned = () => lines.filter((line) => line.includes("worker that takes JSON"));
  let done = 0;
  const pollUntil = (holds: () => Promise<boolean>) =>
    until(async () => {
      await startExecution(server, "heavy", {});
      const { tasks } = await client.poll({ actions: ["heavy"], maxTasks: 10 });
      await client.complete({ results: tasks.map(({ token }) => ({ token })) });
      done += tasks.length;
      return await holds();
    }, 50_000);
  await pollUntil(async () => {
    aheadMs = Math.min(aheadMs + 500, limits.unpolledMs + 5_000);
    return warned().length > 0;
  });
  for (const id of ids) {
    const waiting = { status: "SCHEDULED", unpolled: true, waitingFor: "json", attempts: [] };
    expect(await actionOf(server, id)).toMatchObject(waiting);
  }
  aheadMs += limits.uncarriedMs;
  // After the time for which such a jump holds deadlines back, as a standstill would.
  await pollUntil(async () => {
    const actions = await Promise.all(ids.map((id) => actionOf(server, id)));
    return actions.every(({ status }) => status !== "SCHEDULED");
  });
  expect(done).toBeGreaterThan(10);
  const errors = [];
  for (const id of ids) {
    const { attempts, error } = await actionOf(server, id);
    expect(attempts).toMatchObject([{ number: 1, error }]);
    errors.push(error.code);
  }
  expect(errors).toEqual(["STRUCT_TOO_DEEP", "STRUCT_TOO_LARGE"]);
  expect(warned()).toHaveLength(1);
  // Its code is caught like any other; the other one ends the execution.
  const [caught] = (await client.poll({ actions: ["handle"] })).tasks;
  expect(caught?.executionId).toBe(ids[0]!);
  await client.complete({ results: [{ token: caught!.token }] });
  expect((await untilEnded(server, ids[0]!)).status).toBe("COMPLETED");
  expect((await untilEnded(server, ids[1]!)).error.code).toBe("STRUCT_TOO_LARGE");
}, 60_000);
