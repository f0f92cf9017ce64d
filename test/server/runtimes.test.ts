/** Runtimes without an edge: two over one store, and one whose store does not answer any more. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock, systemIds } from "../../src/base/clock.ts";
import { createRuntime, type Runtime } from "../../src/runtime/runtime.ts";
import type { PolledTask } from "../../src/runtime/shared/polled-task.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { type Store, StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { noSandbox } from "../support/no-sandbox.ts";

const store = new MemoryStore({ partitions: 2 });
let one: Runtime;
let other: Runtime;

async function openServer(
  name: string,
  itsStore: Store = store,
  sandbox = noSandbox,
): Promise<Runtime> {
  const runtime = createRuntime({
    store: itsStore,
    sandbox,
    clock: systemClock,
    ids: systemIds,
    log: createLogger({ level: "silent", clock: systemClock, write() {} }),
    metrics: new Metrics(),
    namespace: "test",
  });
  const about = { grpcAddress: name, httpAddress: name, startedAt: 0, version: "0" };
  await runtime.open({ id: name, name, ...about });
  return runtime;
}

beforeAll(async () => {
  one = await openServer("one");
  other = await openServer("other");
  const step = { type: "user", name: "step" } as const;
  await one.saveWorkflow(
    {
      name: "steps",
      rootAction: 1,
      actions: [
        { id: 1, ...step, next: { default: 2 } },
        { id: 2, ...step },
      ],
    },
    { lenient: false },
  );
});

afterAll(() => Promise.all([one.close(), other.close()]));

async function pollAt(server: Runtime): Promise<PolledTask> {
  const asked = { actions: ["step"], queues: ["default"], maxTasks: 1, waitMs: 5_000 };
  const answer = await server.poll({ ...asked, workerId: "w", heartbeats: true, results: [] });
  return answer.tasks[0]!;
}

const done = ({ token }: PolledTask) => ({ token, outcome: { ok: true, output: "{}" } }) as const;

test("a result is accepted by a server that has not seen the action start", async () => {
  const { id } = await one.start({ workflow: "steps", input: "{}" });
  const first = await pollAt(one);
  expect(await other.complete([done(first)], "w")).toEqual(["accepted"]);
  const second = await pollAt(other);
  expect(second.about.actionKey).toBe("2");
  expect(await one.complete([done(second)], "w")).toEqual(["accepted"]);
  expect(await other.waitForResult(id, 0)).toMatchObject({ status: "COMPLETED" });
});

test("a pause counts although this server remembers one that another has ended", async () => {
  const { id } = await one.start({ workflow: "steps", input: "{}" });
  expect(await one.operate({ id, operation: "pause" })).toBe("PAUSED");
  expect(await other.operate({ id, operation: "resume" })).toBe("RUNNING");
  expect(await one.operate({ id, operation: "pause" })).toBe("PAUSED");
});

test("a commit that its way to the store repeats undoes nothing of what came after it", async () => {
  const shared = new MemoryStore({ partitions: 1 });
  const commit = shared.commit.bind(shared);
  let between: (() => Promise<unknown>) | undefined;
  shared.commit = async (request) => {
    const work = between;
    between = undefined;
    const answer = await commit(request);
    if (work === undefined) return answer;
    await work();
    return commit(request);
  };
  const repeating = await openServer("repeating", shared);
  const straight = await openServer("straight", shared);
  const actions = [1, 2, 3].map((id) => ({ id, type: "user", name: "step" }));
  const definition = { name: "three", rootAction: [1, 2, 3], actions };
  await repeating.saveWorkflow(definition, { lenient: false });
  const { id } = await repeating.start({ workflow: "three", input: "{}" });
  const first = await pollAt(repeating);
  const second = await pollAt(repeating);
  between = () => straight.complete([done(second)], "w");
  expect(await repeating.complete([done(first)], "w")).toEqual(["accepted"]);
  await repeating.operate({ id, operation: "pause" });
  const { actions: shown } = await straight.getExecution(id);
  expect(shown.map(({ status }) => status)).toEqual(["COMPLETED", "COMPLETED", "SCHEDULED"]);
  await Promise.all([repeating.close(), straight.close()]);
});

test("a script that the end of its sandbox cuts off has not failed", async () => {
  const sandbox = createSandbox({ clock: systemClock });
  const server = await openServer("ending", new MemoryStore({ partitions: 1 }), sandbox);
  const javascript = { id: "endless", type: "system", name: "javascript" };
  const action = { ...javascript, expression: "for (;;) {}" };
  const definition = { name: "endless", rootAction: "endless", actions: [action] };
  await server.saveWorkflow(definition, { lenient: false });
  const { id } = await server.start({ workflow: "endless", input: "{}" });
  await sandbox.stop();
  expect(await server.getExecution(id)).toMatchObject({
    status: "RUNNING",
    actions: [{ status: "RUNNING" }],
  });
  await server.close();
});

test("a server ends although it cannot leave the registry", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const failing = new MemoryStore({ partitions: 1 });
  failing.leaveServer = () => Promise.reject(new StoreFault("not_applied", "the store is down"));
  const create = failing.create.bind(failing);
  failing.create = (request) => released.then(() => create(request));
  const server = await openServer("third", failing);
  const action = { id: 1, type: "system", name: "transform" };
  await server.saveWorkflow({ name: "w", rootAction: 1, actions: [action] }, { lenient: false });
  const started = server.start({ workflow: "w", input: "{}" });
  const closed = server.close().then(() => "closed");
  release();
  expect(await Promise.all([started, closed])).toMatchObject([{ status: "COMPLETED" }, "closed"]);
});
