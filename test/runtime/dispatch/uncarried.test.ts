/** Tasks that fit no Struct: who is given them, who counts as there, and when they fail. */
import { beforeEach, expect, test } from "bun:test";
import { systemIds } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import { createRuntime, type Runtime } from "../../../src/runtime/runtime.ts";
import type { PolledTask } from "../../../src/runtime/shared/polled-task.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { CreateAnswer, CreateRequest, Store } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { noSandbox } from "../../support/no-sandbox.ts";

const levels = limits.structDepthMax + 1;
const deep = `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const large = JSON.stringify({ items: Array(400_000).fill(1) });
const small = "{}";

class SharedStore extends MemoryStore {
  override readonly traits = { ...new MemoryStore({ partitions: 2 }).traits, shared: true };
  readonly #listeners: Parameters<NonNullable<Store["onWake"]>>[0][] = [];

  override async create(request: CreateRequest): Promise<CreateAnswer> {
    const answer = await super.create(request);
    for (const { queue } of request.effects.tasks) {
      for (const listener of this.#listeners) listener(request.key.partition, queue);
    }
    return answer;
  }

  async onWake(listener: Parameters<NonNullable<Store["onWake"]>>[0]): Promise<void> {
    this.#listeners.push(listener);
  }
}

let clock: HandClock;
let store: MemoryStore;
let warnings: { message: string; queued: number }[];

beforeEach(() => {
  clock = new HandClock();
  store = new MemoryStore({ partitions: 2 });
  warnings = [];
});

async function open(name = "one"): Promise<Runtime> {
  const write = (line: string) => warnings.push(JSON.parse(line));
  const runtime = createRuntime({
    store,
    clock,
    ids: systemIds,
    sandbox: noSandbox,
    metrics: new Metrics(),
    log: createLogger({ level: "warn", clock, write }),
    namespace: "test",
  });
  const addresses = { grpcAddress: name, httpAddress: name };
  await runtime.open({ id: name, name, ...addresses, startedAt: 0, version: "0" });
  const action = { id: 1, type: "user", name: "a", parameters: "$.input" };
  await runtime.saveWorkflow({ name: "w", rootAction: 1, actions: [action] }, { lenient: false });
  return runtime;
}

async function start(runtime: Runtime, input: string): Promise<string> {
  return (await runtime.start({ workflow: "w", input })).id;
}

interface Terms {
  readonly structOnly?: boolean;
  readonly workerId?: string;
  readonly maxTasks?: number;
}

async function poll(runtime: Runtime, terms: Terms = {}, waitMs = 0) {
  const { tasks } = await runtime.poll({
    actions: ["a"],
    queues: ["default"],
    maxTasks: 10,
    waitMs,
    workerId: "",
    heartbeats: true,
    results: [],
    ...terms,
  });
  return tasks;
}

const struct = { structOnly: true, workerId: "python" };
const idsOf = (tasks: readonly PolledTask[]) => tasks.map(({ key }) => key.id).sort();

async function actionOf(runtime: Runtime, id: string) {
  return (await runtime.getExecution(id)).actions[0]!;
}

/** Seconds pass, in each of which it is polled for Struct; what those polls were given. */
async function pollFor(runtime: Runtime, seconds: number, everySecond = async () => {}) {
  const given: PolledTask[] = [];
  for (let second = 0; second < seconds; second++) {
    given.push(...(await poll(runtime, struct)));
    await everySecond();
    await clock.pass(1_000);
  }
  return given;
}

const complete = (runtime: Runtime, tasks: readonly PolledTask[]) =>
  runtime.complete(
    tasks.map(({ token }) => ({ token, outcome: { ok: true, output: "{}" } })),
    "",
  );

const waits = "tasks wait for a worker that takes JSON, and none polls for them";

test("they are left for a poll that takes JSON, and hold up nothing", async () => {
  const runtime = await open();
  const left = [await start(runtime, deep), await start(runtime, large)];
  const other = await start(runtime, small);
  expect(idsOf(await pollFor(runtime, 3))).toEqual([other]);
  for (const id of left) {
    const { status, waitingFor, unpolled, attempts } = await actionOf(runtime, id);
    expect({ status, waitingFor, unpolled, attempts }).toEqual({
      status: "SCHEDULED",
      waitingFor: "json",
      unpolled: undefined,
      attempts: [],
    });
  }
  const { queued, running, queues } = await runtime.getAction("a");
  expect([queued, running, queues.map(({ queue }) => queue)]).toEqual([2, 1, ["default/a"]]);

  const taken = [...(await poll(runtime)), ...(await poll(runtime))];
  expect(idsOf(taken)).toEqual(left.sort());
  expect(taken.map(({ about }) => about.attempt)).toEqual([1, 1]);
  await runtime.release(taken.map(({ token }) => token));
  expect(await poll(runtime, struct)).toEqual([]);
  await complete(runtime, [...(await poll(runtime)), ...(await poll(runtime))]);

  // Of two that wait, the one that takes it is handed it by the commit that makes it.
  const parked = [struct, { workerId: "json" }].map((terms) => poll(runtime, terms, 10_000));
  const next = await start(runtime, deep);
  expect(idsOf(await parked[1]!)).toEqual([next]);
  await clock.pass(10_000);
  expect(await parked[0]!).toEqual([]);
  expect(warnings).toEqual([]);
});

test("neither they nor the others of their queue starve, where polls are for one task", async () => {
  const runtime = await open();
  const count = 64;
  for (let i = 0; i < count; i++) for (const input of [deep, small]) await start(runtime, input);
  let ofJson = 0;
  for (let i = 0; i < count; i++) {
    const [task] = await poll(runtime, { maxTasks: 1 });
    if (task?.parameters === deep) ofJson += 1;
  }
  // The chance of less is one in billions.
  expect(ofJson).toBeGreaterThan(count / 8);
  expect(ofJson).toBeLessThan((count * 7) / 8);
});

test("after 10 s the log and the execution say so, after 60 s they fail, not retried", async () => {
  const runtime = await open();
  const ids = [await start(runtime, deep), await start(runtime, large)];
  await pollFor(runtime, 9);
  expect(warnings).toEqual([]);
  await pollFor(runtime, 6);
  expect(warnings).toMatchObject([{ message: waits, queue: "default", action: "a", queued: 2 }]);
  for (const id of ids) expect(await actionOf(runtime, id)).toMatchObject({ unpolled: true });
  await pollFor(runtime, 30);
  // It waits for as long as it may itself, whatever waited before.
  const later = await start(runtime, deep);
  await pollFor(runtime, 13);
  for (const id of ids) expect((await actionOf(runtime, id)).status).toBe("SCHEDULED");
  await pollFor(runtime, 10);
  for (const [index, code] of ["STRUCT_TOO_DEEP", "STRUCT_TOO_LARGE"].entries()) {
    const { status, failure, attempts } = await actionOf(runtime, ids[index]!);
    expect([status, failure?.code, attempts.length]).toEqual(["FAILED", code, 1]);
    expect(failure?.message).toContain("parametersJson");
  }
  expect(await actionOf(runtime, later)).toMatchObject({ status: "SCHEDULED", attempts: [] });
  await pollFor(runtime, 40);
  expect((await actionOf(runtime, later)).failure?.code).toBe("STRUCT_TOO_DEEP");
  expect(warnings).toHaveLength(1);
});

test("without any poll they wait as all tasks do", async () => {
  const runtime = await open();
  const id = await start(runtime, deep);
  await clock.pass(10 * limits.uncarriedMs);
  expect(await actionOf(runtime, id)).toMatchObject({ status: "SCHEDULED", unpolled: true });
  expect(warnings.map(({ message }) => message)).toEqual([
    "tasks wait, and no worker polls for them",
  ]);
});

test.each(["json", ""])("a worker that takes JSON and is busy is there: '%s'", async (workerId) => {
  const runtime = await open();
  await start(runtime, small);
  const terms = { workerId, maxTasks: 1 };
  const held = await poll(runtime, terms);
  const id = await start(runtime, deep);
  const beat = () => runtime.heartbeat(held.map(({ token }) => ({ token })));
  await pollFor(runtime, 200, async () => void (await beat()));
  expect(await actionOf(runtime, id)).toMatchObject({ status: "SCHEDULED", attempts: [] });
  expect(warnings).toEqual([]);
  await complete(runtime, held);
  const next = await poll(runtime, terms);
  expect(idsOf(next)).toEqual([id]);
  await complete(runtime, next);
  // From its last poll on.
  const last = await start(runtime, deep);
  await pollFor(runtime, 55);
  expect((await actionOf(runtime, last)).status).toBe("SCHEDULED");
  await pollFor(runtime, 15);
  expect((await actionOf(runtime, last)).status).toBe("FAILED");
});

test("so is one that was busy before the server was started again", async () => {
  const before = await open();
  await start(before, small);
  const held = await poll(before, { workerId: "json", maxTasks: 1 });
  await clock.pass(1);
  const runtime = await open("again");
  const id = await start(runtime, deep);
  const beat = () => runtime.heartbeat(held.map(({ token }) => ({ token })));
  await pollFor(runtime, 100, async () => void (await beat()));
  expect(await actionOf(runtime, id)).toMatchObject({ status: "SCHEDULED", attempts: [] });
  await complete(runtime, held);
  await pollFor(runtime, 140);
  expect((await actionOf(runtime, id)).status).toBe("FAILED");
});

test("a poll that came while the server stood still is in time", async () => {
  const runtime = await open();
  const id = await start(runtime, deep);
  await pollFor(runtime, 30);
  clock.elapsedMs += 2 * limits.uncarriedMs;
  // Its looks are due by now, and that it stood still is seen with the first of them.
  await clock.pass(100);
  expect(idsOf(await poll(runtime))).toEqual([id]);
});

test("of several servers one reports and fails, and workers of all of them count", async () => {
  store = new SharedStore({ partitions: 2 });
  const one = await open("one");
  const two = await open("two");
  await start(one, small);
  const held = await poll(two, { workerId: "json", maxTasks: 1 });
  expect(held).toHaveLength(1);
  const id = await start(one, deep);
  const beat = async () => void (await two.heartbeat(held.map(({ token }) => ({ token }))));
  await pollFor(one, 100, beat);
  for (const server of [one, two]) {
    expect(await actionOf(server, id)).toMatchObject({ status: "SCHEDULED", waitingFor: "json" });
  }
  expect(warnings).toEqual([]);
  await complete(two, held);
  const both = async () => void (await poll(two, { ...struct, workerId: "java" }));
  await pollFor(one, 30, both);
  expect(await actionOf(one, id)).toMatchObject({ status: "SCHEDULED", unpolled: true });
  await pollFor(one, 100, both);
  expect((await actionOf(one, id)).failure?.code).toBe("STRUCT_TOO_DEEP");
  expect(warnings.map(({ message }) => message)).toEqual([waits]);
  expect((await one.servers()).flatMap(Object.keys)).not.toContain("wants");
});
