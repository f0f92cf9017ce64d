/**
 * What operations of the store cost on DynamoDB: `bun scripts/dynamodb-costs.ts`, in requests and
 * capacity units, as its imitation ministack counts them by Amazon's rules; and what a whole server
 * without work costs, which takes a minute.
 */
import type { AwsAttempt } from "../src/aws/client.ts";
import { systemClock } from "../src/base/clock.ts";
import { executionKey, formatToken } from "../src/model/ids.ts";
import { countsOf } from "../src/store/dynamodb/capacity.ts";
import { openDynamoDriver } from "../src/store/dynamodb/open.ts";
import { openRecordsStore } from "../src/store/records/records-store.ts";
import type { Head, Store, StoreEffects } from "../src/store/store.ts";
import { ministackMissing, startMinistack } from "../test/support/brokers/ministack.ts";
import { testCredentials, testUrl } from "../test/support/dynamodb.ts";
import { startServer, stop } from "./bench/support.ts";

export interface Cost {
  readonly operation: string;
  /** What the design says. */
  readonly planned: { readonly requests: number; readonly units: number };
  readonly requests: number;
  readonly units: number;
}

/** Each operation is done so often; costs are the means. */
const times = 50;

/** `endpoint`: of a DynamoDB with nothing in this namespace. */
export async function measureCosts(endpoint: string): Promise<readonly Cost[]> {
  const spent = { requests: 0, units: 0 };
  const onAttempt = (attempt: AwsAttempt) => {
    spent.requests += 1;
    spent.units += countsOf(attempt)[1];
  };
  const namespace = `costs-${Date.now()}`;
  const driver = await openDynamoDriver(testUrl, {
    namespace,
    dynamodbEndpoint: endpoint,
    credentials: testCredentials,
    onAttempt,
  });
  const store = openRecordsStore(driver, { nonce: "costs", clock: systemClock });
  const costs: Cost[] = [];
  const measure: Measure = async (operation, planned, work) => {
    // Once without being counted: what is done once for each process or queue.
    await work(times);
    Object.assign(spent, { requests: 0, units: 0 });
    for (let i = 0; i < times; i++) await work(i);
    const each = (total: number) => Math.round((total / times) * 10) / 10;
    costs.push({
      operation,
      planned,
      requests: each(spent.requests),
      units: each(spent.units),
    });
  };
  await measureLife(store, measure);
  await measureLooks(store, measure);
  await store.close();
  return costs;
}

type Measure = (
  operation: string,
  planned: Cost["planned"],
  work: (index: number) => Promise<unknown>,
) => Promise<void>;

const queue = "default/charge";
const workerId = "worker-1";
const parameters = JSON.stringify({ order: "A-1001", lines: [1, 2, 3], note: "x".repeat(80) });
const state = JSON.stringify({ stateVersion: 1, records: "r".repeat(500) });
const entry = JSON.stringify({ at: 1, type: "task.completed", action: "charge", attempt: 1 });

function effects(changed: Partial<StoreEffects>): StoreEffects {
  const none = { tasks: [], dropTasks: [], timers: [], dropTimers: [], messages: [], history: [] };
  return { ...none, ...changed };
}

function newTask(id: string, now: number, token?: string) {
  const lease = { workerId, leaseUntil: now + 30_000, deadline: now + 300_000 };
  return {
    id,
    queue,
    priority: 0,
    timeoutMs: 300_000,
    heartbeatMs: 30_000,
    queueTimeoutMs: 0,
    header: '{"workflow":"orders"}',
    parameters,
    ...(token !== undefined && { lease: { ...lease, token } }),
  };
}

/** Executions, each from its start to its end: the same step of all of them at a time. */
async function measureLife(store: Store, measure: Measure): Promise<void> {
  const { partitions } = store;
  const ids = Array.from({ length: times + 1 }, () => Bun.randomUUIDv7());
  const heads: Head[] = [];
  const held: { taskId: string; token: string }[] = [];
  let step = 0;
  const keyOf = (i: number) => executionKey(ids[i]!, partitions);

  const commit = async (
    i: number,
    more: { readonly handOff?: boolean; readonly end?: boolean },
  ) => {
    const now = Date.now();
    const taskId = `${ids[i]}:1:${step}:a`;
    const token = formatToken("mf3.0123456789abcdef", taskId);
    const task = newTask(taskId, now, more.handOff ? token : undefined);
    const answer = await store.commit({
      key: keyOf(i),
      expected: heads[i]!,
      state,
      now,
      commitId: `0123456789-${step}`,
      status: more.end ? "COMPLETED" : "RUNNING",
      ...(more.end && { endedAt: now }),
      expire: [],
      consumeTimers: [],
      data: new Map([[`output:${step}`, parameters]]),
      settle: [held[i]!],
      effects: more.end
        ? effects({ timers: [{ id: "retention", at: now + 86_400_000 }], history: [entry] })
        : effects({ tasks: [task], history: [entry] }),
    });
    if (answer.outcome !== "committed") throw new Error(`step: ${answer.outcome}`);
    heads[i] = answer.head;
    held[i] = { taskId, token };
  };

  await measure("create", { requests: 5, units: 5 }, async (i) => {
    const now = Date.now();
    const taskId = `${ids[i]}:1:0:a`;
    const token = formatToken("mf3.0123456789abcdef", taskId);
    const answer = await store.create({
      key: keyOf(i),
      commitId: "create",
      listing: {
        id: ids[i]!,
        workflow: "orders",
        version: 1,
        status: "RUNNING",
        startedAt: now,
      },
      state,
      now,
      data: new Map([["input", parameters]]),
      effects: effects({ tasks: [newTask(taskId, now, token)], history: [entry] }),
    });
    if (answer.outcome !== "created") throw new Error(`create: ${answer.outcome}`);
    heads[i] = answer.head;
    held[i] = { taskId, token };
  });
  step += 1;
  await measure("handed-over step", { requests: 1, units: 2 }, (i) => commit(i, { handOff: true }));
  const leases = (i: number) => [{ key: keyOf(i), ...held[i]!, until: Date.now() + 30_000 }];
  await measure("heartbeat", { requests: 1, units: 2 }, async (i) => {
    const { partition } = keyOf(i);
    const [answer] = await store.extendLeases({ partition, leases: leases(i), now: Date.now() });
    if (answer?.outcome !== "extended") throw new Error(`heartbeat: ${answer?.outcome}`);
  });
  step += 1;
  await measure("step into a queue", { requests: 2, units: 3 }, (i) => commit(i, {}));
  const claimed = new Map<string, { taskId: string; token: string }>();
  await measure("claim from a queue", { requests: 4, units: 4 }, async (i) => {
    const { tasks } = await store.claimTasks({
      partition: keyOf(i).partition,
      queues: [{ name: queue, limit: 1 }],
      limit: 1,
      tokenPrefix: `${i}.0123456789`,
      workerId,
      heartbeatMs: 30_000,
      now: Date.now(),
    });
    if (tasks.length !== 1) throw new Error(`claimed ${tasks.length}`);
    for (const { key, id, token } of tasks) claimed.set(key.id, { taskId: id, token });
  });
  for (const [i, id] of ids.entries()) held[i] = claimed.get(id)!;
  step += 1;
  await measure("end", { requests: 5, units: 5 }, (i) => commit(i, { end: true }));
}

async function measureLooks(store: Store, measure: Measure): Promise<void> {
  const partition = store.partitions - 1;
  const look = () => ({ partition, limit: 100, hideMs: 5_000, now: Date.now() });
  const one = { requests: 1, units: 1 };
  await measure("empty look for timers", one, (i) =>
    store.claimDue({ ...look(), claimId: `due-${i}` }),
  );
  await measure("empty look for messages", one, (i) =>
    store.claimOutbox({ ...look(), claimId: `outbox-${i}` }),
  );
  await measure("empty look into a queue", one, (i) =>
    store.claimTasks({
      partition,
      queues: [{ name: "default/nobody", limit: 1 }],
      limit: 1,
      tokenPrefix: `none-${i}.0123456789`,
      workerId,
      heartbeatMs: 30_000,
      now: Date.now(),
    }),
  );
}

/** Requests a second of a server without work, once its looks have become as rare as they get. */
async function measureIdle(endpoint: string): Promise<number> {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
  });
  const server = await startServer({ store: testUrl });
  const requests = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const counts = text.matchAll(/^orchy_dynamodb_requests_total\{.*\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  await Bun.sleep(settleMs);
  const before = await requests();
  await Bun.sleep(idleMs);
  const after = await requests();
  await stop(server);
  return (after - before) / (idleMs / 1_000);
}

const settleMs = 30_000;
const idleMs = 45_000;

if (import.meta.main) {
  const missing = await ministackMissing();
  if (missing !== undefined) {
    console.error(missing);
    process.exit(1);
  }
  const running = await startMinistack();
  const costs = await measureCosts(running.endpoint);
  console.table(
    costs.map(({ operation, planned, requests, units }) => ({
      operation,
      requests,
      "planned requests": planned.requests,
      units,
      "planned units": planned.units,
    })),
  );
  console.log("A server without work is measured for a minute.");
  const idle = await measureIdle(running.endpoint);
  console.log(`Requests a second without work: ${idle.toFixed(1)} (planned: at most 5).`);
  await running.stop();
}
