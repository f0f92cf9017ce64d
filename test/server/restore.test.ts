/**
 * Restore drills: a copy that was made under load is put in the place of a store that has gone on
 * since. What the copy holds comes to its end, what was acknowledged after it is lost and may be
 * started again, and nobody who speaks of what is lost does harm.
 */
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "../../src/worker/index.ts";
import { call } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";

const step = (id: string, name: string, more: object = {}) => ({
  id,
  type: "user",
  name,
  parameters: { n: "$.input.n" },
  ...more,
});
const actions = [
  step("a", "drill-step", { next: { default: "w" } }),
  { id: "w", type: "system", name: "wait", event: "go", next: { default: "d" } },
  { id: "d", type: "system", name: "delay", delaySeconds: 0.1, next: { default: "c" } },
  step("c", "drill-step"),
];
const onSuccess = { workflow: "after", parameters: { n: "$.input.n" } };
const definitions = [
  { name: "after", rootAction: "z", actions: [step("z", "drill-step")] },
  { name: "drill", rootAction: "a", actions, output: { n: "$.c.output.n" }, onSuccess },
  { name: "held", rootAction: "a", actions: [step("a", "drill-held")] },
];
const changed = { ...definitions[1], output: { changed: "$.c.output.n" } };

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "orchy-restore-"));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One server under load, at one address from life to life. */
class Drill {
  readonly #ports = { http: freePort(), grpc: freePort() };
  readonly url = `http://127.0.0.1:${this.#ports.http}`;
  server: ServerProcess | undefined;
  readonly started: string[] = [];

  async open(store: string): Promise<void> {
    this.server = await startProcess(store, this.#ports);
    const { child } = this.server;
    cleanUps.push(() => child.kill("SIGKILL"));
  }

  async kill(): Promise<void> {
    this.server?.child.kill("SIGKILL");
    await this.server?.child.exited;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  async ask(method: string, path: string, body?: unknown): Promise<any> {
    const answer = await call(this, method, path, body);
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async work(): Promise<Worker> {
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const worker = new Worker({ server: this.url, logger: quiet });
    const rules = { timeoutSeconds: 3, retryAfterSeconds: 0.1 };
    worker.action("drill-step", rules, async (input) => input);
    await worker.start();
    return worker;
  }

  async start(id: string): Promise<void> {
    const input = { n: Number(id) };
    await this.ask("POST", "/v1/executions", { workflow: "drill", executionId: id, input });
  }

  async signal(id: string): Promise<void> {
    const body = { event: "go", signalId: "go" };
    await this.ask("POST", `/v1/executions/${id}/signal`, body);
  }

  /** Starts `count` executions, and lets every other one go on to its end. */
  async load(count: number): Promise<void> {
    const ids = Array.from({ length: count }, (_, i) => `${this.started.length + i}`);
    const lane = async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
        await this.start(id);
        this.started.push(id);
        if (Number(id) % 2 === 0) await this.signal(id);
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
  }

  /** The token of a task that its worker still has. */
  async hold(): Promise<{ readonly id: string; readonly token: string }> {
    const { id } = await this.ask("POST", "/v1/executions", { workflow: "held" });
    const poll = { actions: ["drill-held"], waitSeconds: 20, maxTasks: 1, workerId: "slow" };
    const { tasks } = await this.ask("POST", "/orchy.v1.WorkerService/Poll", poll);
    return { id, token: tasks[0].token };
  }

  /** Which of these the store holds. */
  async present(ids: readonly string[]): Promise<string[]> {
    const statuses = await Promise.all(
      ids.map(async (id) => (await call(this, "GET", `/v1/executions/${id}/result`)).status),
    );
    return ids.filter((_, i) => statuses[i] !== 404);
  }

  async followUps(): Promise<readonly { readonly status: string }[]> {
    return (await this.ask("GET", "/v1/executions?workflow=after&limit=500")).items;
  }

  async untilFollowed(count: number): Promise<void> {
    await until(async () => {
      const all = await this.followUps();
      return all.length >= count && all.every(({ status }) => status === "COMPLETED");
    }, 90_000);
  }

  /** Whatever is there completes, as it should, and is followed by one. */
  async allEnd(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.signal(id).catch(() => {});
    for (const id of ids) {
      const { status, result } = await this.ask("GET", `/v1/executions/${id}/result?wait=30`);
      expect([id, status, result]).toEqual([id, "COMPLETED", { n: Number(id) }]);
    }
    await this.untilFollowed(ids.length);
    expect(await this.followUps()).toHaveLength(ids.length);
    const metrics = await fetch(`${this.url}/metrics`).then((answer) => answer.text());
    expect(metrics).toContain("\norchy_repairs_total 0\n");
  }
}

interface Steps {
  readonly store: string;
  /** Takes a copy while the load goes on. */
  readonly copy: () => Promise<unknown>;
  /** Puts the copy in the store's place; answers the address of the store. */
  readonly restore: () => Promise<string>;
  /** True: the server lives through it, as when a replica takes over that had not heard all. */
  readonly live?: boolean;
}

async function drill(steps: Steps): Promise<void> {
  const one = new Drill();
  await one.open(steps.store);
  for (const definition of definitions) await one.ask("POST", "/v1/workflows", definition);
  const worker = await one.work();
  try {
    await loseAndRestore(one, steps);
  } finally {
    await worker.stop();
  }
}

async function loseAndRestore(one: Drill, { copy, restore, live = false }: Steps): Promise<void> {
  await one.load(30);
  const before = await one.hold();
  const acknowledged = [...one.started];
  await Promise.all([copy(), one.load(30)]);

  // All that is lost.
  await one.ask("DELETE", `/v1/executions/${await deletable(one)}`);
  await one.load(20);
  const lost = await one.hold();
  await one.ask("POST", "/v1/workflows", changed);
  await one.ask("POST", "/v1/executions", { workflow: "drill", input: { n: 1 } });

  // A server that lives on would deliver what is under way to the store that takes the place of
  // this.
  const signalled = one.started.filter((id) => Number(id) % 2 === 0);
  if (live) await one.untilFollowed(signalled.length - 1);
  if (!live) await one.kill();
  const restored = await restore();
  if (!live) await one.open(restored);
  await until(async () => (await call(one, "GET", "/health/ready")).status === 200);

  const present = await one.present(one.started);
  expect(present).toEqual(expect.arrayContaining(acknowledged));
  expect(present.length).toBeLessThanOrEqual(60);
  expect(await one.present([before.id, lost.id])).toEqual([before.id]);
  const results = [before, lost].map(({ token }) => ({ token, output: 1 }));
  const answer = await one.ask("POST", "/orchy.v1.WorkerService/Complete", { results });
  expect(answer.results).toMatchObject([
    { status: "RESULT_STATUS_ACCEPTED" },
    { status: "RESULT_STATUS_STALE" },
  ]);
  // Callers that ask again for what they miss get all of it back.
  for (const id of one.started) if (!present.includes(id)) await one.start(id);
  await one.allEnd(one.started);

  // The number of a version that was lost is given again; its lost content is known nowhere.
  const again = { ...changed, output: { again: "$.input.n" } };
  expect((await one.ask("POST", "/v1/workflows", again)).version).toBe(2);
  const body = { workflow: "drill", executionId: "again", input: { n: 5 } };
  await one.ask("POST", "/v1/executions", body);
  await one.signal("again");
  const { result } = await one.ask("GET", "/v1/executions/again/result?wait=30");
  expect(result).toEqual({ again: 5 });
}

/** One that has ended, with nothing left to send. */
async function deletable(one: Drill): Promise<string> {
  await until(async () => {
    const { items } = await one.ask("GET", "/v1/executions?workflow=after&status=COMPLETED");
    return items.length > 0;
  });
  const { items } = await one.ask("GET", "/v1/executions?workflow=after&status=COMPLETED");
  return items[0].id;
}

test("a backup of a SQLite store that was made under load is restored", async () => {
  const folder = newFolder();
  const [path, to] = [join(folder, "orchy.db"), join(folder, "backup.db")];
  const script = join(import.meta.dir, "../../scripts/backup.ts");
  await drill({
    store: `sqlite:${path}`,
    async copy() {
      const child = Bun.spawn([process.execPath, script, path, to], { stdout: "ignore" });
      expect(await child.exited).toBe(0);
    },
    restore: async () => `sqlite:${to}`,
  });
}, 120_000);

/** A Redis in a separate folder, and one in its place that begins with what was copied. */
async function drillRedis(
  settings: Record<string, string>,
  copy: (redis: RedisServer, from: string, to: string) => Promise<unknown>,
  live: boolean,
): Promise<void> {
  const [from, to] = [newFolder(), newFolder()];
  const redis = await startRedis(settings, { folder: from });
  cleanUps.push(() => redis.kill());
  const store = `redis://127.0.0.1:${redis.port}`;
  await drill({
    store,
    live,
    copy: () => copy(redis, from, to),
    async restore() {
      await redis.kill();
      const other = await startRedis(settings, { folder: to, port: redis.port });
      cleanUps.push(() => other.kill());
      return store;
    },
  });
}

async function copySnapshot({ client }: RedisServer, from: string, to: string): Promise<void> {
  await client.bgsave();
  await until(async () => (await client.info("persistence")).includes("rdb_bgsave_in_progress:0"));
  cpSync(join(from, "dump.rdb"), join(to, "dump.rdb"));
}

async function copyLog(_redis: RedisServer, from: string, to: string): Promise<void> {
  const name = "appendonlydir";
  mkdirSync(to, { recursive: true });
  cpSync(join(from, name), join(to, name), { recursive: true });
}

const log = { appendonly: "yes", appendfsync: "always", "auto-aof-rewrite-percentage": "0" };

for (const [title, settings, copy, live] of [
  ["a snapshot of Redis that was made under load is restored", {}, copySnapshot, false],
  ["a copy of the log of Redis that was made under load is restored", log, copyLog, false],
  ["servers live through a Redis that comes back as it was before", {}, copySnapshot, true],
] as const) {
  if (redisMissing === undefined) test(title, () => drillRedis(settings, copy, live), 300_000);
  else test.skip(`${title} (${redisMissing})`, () => {});
}
