/**
 * Micro benchmark of the stores: `bun scripts/bench-store.ts [rounds] [folder or URL]`. With the
 * URL of a Redis, PostgreSQL, DynamoDB or Cassandra only that is measured, and what its server and
 * this process spent on a call. A step is the commit of a running execution at full load: one task
 * settled, the next one added and leased, one field, one history entry. Chains of calls run side by
 * side, as pollers would make them.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import type { Client } from "cassandra-driver";
import { Redis } from "ioredis";
import { systemClock } from "../src/base/clock.ts";
import { limits } from "../src/base/limits.ts";
import { executionKey, formatToken } from "../src/model/ids.ts";
import { parseCassandraUrl } from "../src/store/cassandra/address.ts";
import { makeClient } from "../src/store/cassandra/link.ts";
import { openCassandraStore } from "../src/store/cassandra/open.ts";
import { openDynamoStore } from "../src/store/dynamodb/open.ts";
import { MemoryStore } from "../src/store/memory/memory-store.ts";
import { openPostgresStore } from "../src/store/postgres/open.ts";
import { openRedisStore } from "../src/store/redis/open.ts";
import { groupCommitOperationsMax } from "../src/store/sqlite/group-commit.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import type { Head, Store } from "../src/store/store.ts";
import { effects, entryAt, newTask, parameters, queue, state } from "./bench/store-load.ts";
import { median, usage } from "./bench/support.ts";

const rounds = Number(process.argv[2] ?? 5);
const where = process.argv[3] ?? tmpdir();
const embedded = limits.partitionsEmbeddedDefault;
const executions = 2_000;
const stepsEach = 10;
/** As many calls side by side as one group commit takes. */
const chains = groupCommitOperationsMax;
const now = Date.now();
const entry = entryAt(now);

/**
 * Runs `count` jobs, `chains` at a time; answers jobs per second. The jobs of an execution run one
 * after another.
 */
async function rate(count: number, job: (index: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const chain = async (_: unknown, first: number) => {
    for (let from = 0; from < count; from += executions) {
      const end = Math.min(from + executions, count);
      for (let index = from + first; index < end; index += chains) await job(index);
    }
  };
  await Promise.all(Array.from({ length: chains }, chain));
  return (count / (performance.now() - start)) * 1_000;
}

/** Longest pause of the event loop, in milliseconds; the memory store never yields to it. */
async function stall(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  await work();
  clearInterval(timer);
  return Math.max(longest, performance.now() - last);
}

/** Processor time that the store's server has used; undefined: it has none. */
type Spent = () => Promise<number>;

async function round(store: Store, spent?: Spent): Promise<Record<string, number>> {
  const { partitions } = store;
  /** Runs `work` and, where the store has a server, notes its processor time for each call. */
  const costing = async <Result>(column: string, calls: number, work: () => Promise<Result>) => {
    const before = await spent?.();
    const own = process.cpuUsage();
    const answer = await work();
    const { user, system } = process.cpuUsage(own);
    if (before === undefined) return answer;
    result[column] = (((await spent?.()) as number) - before) / calls;
    result[`${column}, client`] = (user + system) / calls;
    return answer;
  };
  const ids = Array.from({ length: executions }, () => Bun.randomUUIDv7());
  const heads: Head[] = [];
  const claimed: { id: string; token: string }[] = [];
  const result: Record<string, number> = {};
  const create = async (i: number) => {
    const id = ids[i] as string;
    const listing = {
      id,
      workflow: "orders",
      version: 1,
      status: "RUNNING",
      startedAt: now,
    } as const;
    const answer = await store.create({
      key: executionKey(id, partitions),
      commitId: `create-${i}`,
      listing,
      state,
      now,
      data: new Map([["input", parameters]]),
      effects: effects({ tasks: [newTask(`${id}:1:0:a`, now)], history: [entry] }),
    });
    if (answer.outcome === "created") heads[i] = answer.head;
  };
  result["creates/s"] = await costing("µs a create", executions, () => rate(executions, create));
  const numbers = new Map(ids.map((id, i) => [id, i]));
  const claim = async (partition: number) => {
    for (let left = true, call = 0; left; call++) {
      const answer = await store.claimTasks({
        partition,
        queues: [{ name: queue, limit: 16 }],
        limit: 16,
        tokenPrefix: `${call}.${ids[0]}`,
        workerId: "w",
        heartbeatMs: 30_000,
        now,
      });
      for (const { id, token, key } of answer.tasks) {
        claimed[numbers.get(key.id) as number] = { id, token };
      }
      left = answer.more.length > 0;
    }
  };
  result["claimed tasks/s"] = await costing("µs a claimed task", executions, async () => {
    const start = performance.now();
    for (let partition = 0; partition < partitions; partition++) await claim(partition);
    return (executions / (performance.now() - start)) * 1_000;
  });
  const count = claimed.filter((task) => task !== undefined).length;
  if (count !== executions) throw new Error(`claimed ${count} of ${executions}`);
  const commit = async (n: number) => {
    const i = n % executions;
    const id = ids[i] as string;
    const task = claimed[i] as { id: string; token: string };
    const step = Math.floor(n / executions) + 1;
    const nextId = `${id}:1:${step}:a`;
    const token = formatToken("mf3.0123456789abcdef", nextId);
    const answer = await store.commit({
      key: executionKey(id, partitions),
      expected: heads[i] as Head,
      state,
      now,
      commitId: `0123456789-${step}`,
      status: "RUNNING",
      expire: [],
      consumeTimers: [],
      data: new Map([[`output:${step}`, parameters]]),
      settle: [{ taskId: task.id, token: task.token }],
      effects: effects({ tasks: [newTask(nextId, now, token)], history: [entry] }),
    });
    if (answer.outcome !== "committed") throw new Error(`step: ${answer.outcome}`);
    heads[i] = answer.head;
    claimed[i] = { id: nextId, token };
  };
  const steps = executions * stepsEach;
  result["longest pause ms"] = await stall(async () => {
    result["steps/s"] = await costing("µs a step", steps, () => rate(steps, commit));
  });
  const end = async (i: number) => {
    const id = ids[i] as string;
    const task = claimed[i] as { id: string; token: string };
    const answer = await store.commit({
      key: executionKey(id, partitions),
      expected: heads[i] as Head,
      state,
      now,
      commitId: "0123456789-end",
      status: "COMPLETED",
      endedAt: now,
      expire: [],
      consumeTimers: [],
      settle: [{ taskId: task.id, token: task.token }],
      data: new Map([["output:end", parameters]]),
      effects: effects({ timers: [{ id: "retention", at: now + 86_400_000 }], history: [entry] }),
    });
    if (answer.outcome !== "committed") throw new Error(`end: ${answer.outcome}`);
  };
  result["ends/s"] = await costing("µs an end", executions, () => rate(executions, end));
  return result;
}

async function bench(name: string, store: Store, spent?: Spent) {
  const results: Record<string, number>[] = [];
  for (let i = 0; i < rounds; i++) results.push(await round(store, spent));
  await store.close();
  const row: Record<string, string | number> = { store: name };
  for (const column of Object.keys(results[0] as object)) {
    const value = median(results.map((result) => result[column] as number));
    row[column] = column.startsWith("µs") ? Number(value.toFixed(1)) : Math.round(value);
  }
  return row;
}

async function benchEmbedded() {
  const folder = mkdtempSync(join(where, "orchy-bench-"));
  const path = join(folder, "store.db");
  const table = [await bench("memory", new MemoryStore({ partitions: embedded }))];
  table.push(await bench("sqlite", openSqliteStore({ path, partitions: embedded })));
  console.table(table);
  console.log(`Database: ${Math.round(statSync(path).size / 2 ** 20)} MiB after ${rounds} rounds.`);
  rmSync(folder, { recursive: true });
}

/** In a separate namespace, which is left behind. */
async function benchRedis(url: string) {
  const store = await openRedisStore(url, { namespace: `bench-${Date.now()}`, clockCheck: false });
  const client = new Redis(url);
  const spent = async () => {
    const text = await client.info("cpu");
    const seconds = (name: string) => Number(new RegExp(`^${name}:(.*)$`, "m").exec(text)?.[1]);
    return (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1_000_000;
  };
  console.table([await bench("redis", store, spent)]);
  client.disconnect();
}

const casRow = {
  create: "CREATE TABLE IF NOT EXISTS {keyspace}.bench (k text PRIMARY KEY, v bigint, body text)",
  first: "UPDATE {keyspace}.bench SET v = 1, body = ? WHERE k = ? IF v = null",
  next: "UPDATE {keyspace}.bench SET v = ?, body = ? WHERE k = ? IF v = ?",
};

/** The heads of the steps grow from 1.9 to 4.3 KB. */
const headChars = 3_200;

/** Conditional writes of one row, of the mean size of a head: what a step costs at the least. */
async function casRate(client: Client, keyspace: string): Promise<number> {
  const text = (name: keyof typeof casRow) => casRow[name].replace("{keyspace}", keyspace);
  await client.execute(text("create"));
  const body = "r".repeat(headChars);
  const run = Bun.randomUUIDv7();
  return await rate(executions * 2, async (n) => {
    const [key, version] = [`${run}-${n % executions}`, Math.floor(n / executions)];
    const answer =
      version === 0
        ? await client.execute(text("first"), [body, key], { prepare: true })
        : await client.execute(text("next"), [version + 1, body, key, version], { prepare: true });
    if (!answer.wasApplied()) throw new Error(`not applied: ${key}`);
  });
}

/** In a separate namespace, which is left behind; rounds of the store and of single rows in turn. */
async function benchCassandra(url: string) {
  const address = parseCassandraUrl(url);
  if ("problem" in address) throw new Error(address.problem);
  const store = await openCassandraStore(url, { namespace: `bench-${Date.now()}` });
  const client = await makeClient(address, { clock: systemClock });
  const results: Record<string, number>[] = [];
  for (let i = 0; i < rounds; i++) {
    const cas = await casRate(client, address.keyspace);
    const cpu = process.cpuUsage();
    const result = await round(store);
    const { user, system } = process.cpuUsage(cpu);
    const calls = executions * (stepsEach + 3);
    results.push({ ...result, "one-row CAS/s": cas, "µs a call, client": (user + system) / calls });
  }
  console.table(results.map((one) => mapValues(one, Math.round)));
  await client.shutdown();
  await store.close();
}

function mapValues(record: Readonly<Record<string, number>>, change: (value: number) => number) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

/** In a separate namespace, which is left behind. */
async function benchPostgres(url: string) {
  const store = await openPostgresStore(url, { namespace: `bench-${Date.now()}` });
  const client = new SQL({ url, max: 1 });
  const processes: { pid: number }[] = await client.unsafe(
    "SELECT pid FROM pg_stat_activity WHERE backend_type <> 'autovacuum worker'",
  );
  // Of a server on this machine.
  const spent = async () => processes.reduce((sum, { pid }) => sum + usage(pid).cpu * 1e6, 0);
  console.table([await bench("postgres", store, spent)]);
  await client.close();
}

/** In a separate namespace, which is left behind; the endpoint is that of the environment. */
async function benchDynamo(url: string) {
  const store = await openDynamoStore(url, { namespace: `bench-${Date.now()}` });
  // Its server has no processor time that could be asked for.
  console.table([await bench("dynamodb", store, async () => 0)]);
}

if (/^rediss?:/.test(where)) await benchRedis(where);
else if (/^postgres(?:ql)?:/.test(where)) await benchPostgres(where);
else if (where.startsWith("dynamodb:")) await benchDynamo(where);
else if (/^cassandra:/.test(where)) await benchCassandra(where);
else await benchEmbedded();
