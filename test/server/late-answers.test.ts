/**
 * A Redis whose answers come late or not at all, and what has been done there nonetheless: nobody
 * waits for a lease to lapse that nobody has, and what is asked again is not refused for being late.
 */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { openRedisStore } from "../../src/store/redis/open.ts";
import { type Store, StoreFault } from "../../src/store/store.ts";
import { untilParked } from "../support/metrics.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";
import { complete, done, poll, pollOne, single } from "./calls.ts";
import { type Hooks, hooked } from "./unsure-store.ts";

setDefaultTimeout(120_000);

/** Scripts refuse a moment that is more than a second old. */
const tooOldMs = 1_200;

describe.skipIf(redisMissing !== undefined)("late answers", () => {
  let redis: RedisServer;
  const servers: TestServer[] = [];
  let namespaces = 0;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
  });
  afterAll(() => redis.stop());

  async function startHooked(hooks: Hooks): Promise<TestServer> {
    const url = `redis://127.0.0.1:${redis.port}`;
    const namespace = `late-${++namespaces}`;
    const store: Store = await openRedisStore(url, { namespace, partitions: 4 });
    const flags = ["--namespace", namespace];
    const server = await startTestServer({
      store: url,
      flags,
      parts: { store: hooked(store, hooks) },
    });
    servers.push(server);
    return server;
  }

  async function lost<T>(work: Promise<T>): Promise<T> {
    await work;
    await Bun.sleep(tooOldMs);
    throw new StoreFault("unknown", "the answer came too late");
  }

  async function expectFirstAttempt(server: TestServer, id: string, name: string): Promise<void> {
    const task = await pollOne(server, name);
    expect(task.attempt).toBe(1);
    expect(await complete(server, done(task))).toEqual(["ACCEPTED"]);
    const { status, actions } = await untilEnded(server, id);
    expect([status, actions[0].attempts.length]).toEqual(["COMPLETED", 1]);
  }

  test("to a claim: its tasks are found again", async () => {
    const server = await startHooked({
      claimTasks: (claim, count, request) => (count === 1 ? lost(claim(request)) : claim(request)),
    });
    await saveWorkflow(server, single("claimed"));
    await expectFirstAttempt(server, await startExecution(server, "claimed"), "claimed");
  });

  test("to a claim and its repeats: its tasks go back once the store answers", async () => {
    const server = await startHooked({
      claimTasks: (claim, count, request) => (count <= 3 ? lost(claim(request)) : claim(request)),
    });
    await saveWorkflow(server, single("reclaimed"));
    const id = await startExecution(server, "reclaimed");
    expect(await poll(server, { actions: ["reclaimed"], waitSeconds: 1 })).toEqual([]);
    await expectFirstAttempt(server, id, "reclaimed");
  });

  test("to a hand-off, whose release fails as well: the task goes back later", async () => {
    let releases = 0;
    const server = await startHooked({
      commit: async (commit, _count, request) => {
        const answer = await commit(request);
        if (request.effects.tasks.some((task) => task.lease !== undefined)) {
          throw new StoreFault("unknown", "the line broke");
        }
        return answer;
      },
      releaseTasks: async (release, count, request) => {
        releases = count;
        if (count <= 2) throw new StoreFault("not_applied", "away");
        return release(request);
      },
    });
    const after = { id: "b", type: "user", name: "handed" };
    await saveWorkflow(server, {
      name: "handed",
      rootAction: "a",
      actions: [{ id: "a", type: "user", name: "first", next: { default: "b" } }, after],
    });
    const id = await startExecution(server, "handed");
    const first = await pollOne(server, "first");
    const waiting = poll(server, { actions: ["handed"], waitSeconds: 10 });
    await untilParked(server, 1);
    await complete(server, done(first));
    const [task = await pollOne(server, "handed")] = await waiting;
    expect(releases).toBe(3);
    expect(task.attempt).toBe(1);
    await complete(server, done(task));
    const { status, actions } = await untilEnded(server, id);
    expect([status, actions[1].attempts.length]).toEqual(["COMPLETED", 1]);
  });

  test("to a start: it is known to be there", async () => {
    const server = await startHooked({
      create: (create, count, request) => (count === 1 ? lost(create(request)) : create(request)),
    });
    await saveWorkflow(server, single("created"));
    const { status, body } = await call(server, "POST", "/v1/executions", { workflow: "created" });
    expect(status).toBe(202);
    await expectFirstAttempt(server, body.id, "created");
  });

  test("between the pieces of a removal: it is done wholly", async () => {
    const seen: string[] = [];
    const server = await startHooked({
      remove: async (remove, _count, request) => {
        const answer = await remove(request);
        seen.push(answer);
        if (answer === "more") await Bun.sleep(tooOldMs);
        return answer;
      },
    });
    const actions = Array.from({ length: 700 }, (_, i) => ({
      id: i + 1,
      type: "system",
      name: "delay",
      delaySeconds: 0.01,
    }));
    const rootAction = actions.map(({ id }) => id);
    await saveWorkflow(server, { name: "pieces", rootAction, actions });
    const id = await startExecution(server, "pieces");
    await untilEnded(server, id);
    expect((await call(server, "DELETE", `/v1/executions/${id}`)).status).toBeLessThan(300);
    expect(seen.slice(0, 1).concat(seen.slice(-1))).toEqual(["more", "removed"]);
    const left = await redis.client.keys(`late-${namespaces}:*:x:${id}`);
    expect(await redis.client.hkeys(left[0] as string)).toEqual(expect.arrayContaining(["g", "R"]));
    expect(await redis.client.hlen(left[0] as string)).toBe(2);
  });

  test("about how full the store is: starts do not wait for it", async () => {
    const { promise: goOn, resolve: answer } = Promise.withResolvers<void>();
    let asked = 0;
    const server = await startHooked({
      pressure: async (pressure, count) => {
        asked += 1;
        if (count % 2 === 0) throw new StoreFault("not_applied", "away");
        await goOn;
        return pressure();
      },
    });
    await saveWorkflow(server, single("unmeasured"));
    await until(async () => asked > 0);
    for (let starts = 0; starts < 3; starts++) await startExecution(server, "unmeasured");
    answer();
  });

  test("each result of a call is answered once, whatever becomes of the others", async () => {
    let slow = "";
    let isAway = false;
    const server = await startHooked({
      commit: async (commit, _count, request) => {
        const [first, second] = request.settle;
        if (request.key.id === slow) await Bun.sleep(500);
        else if (isAway) throw new StoreFault("not_applied", "away");
        else if (first !== undefined && second !== undefined) {
          isAway = true;
          return { outcome: "stale", tasks: [first.taskId], timers: [] };
        }
        return commit(request);
      },
    });
    await saveWorkflow(server, {
      name: "several",
      rootAction: [1, 2, 3],
      actions: [1, 2, 3].map((id) => ({ id, type: "user", name: "several" })),
    });
    const taken = async (count: number) => {
      const tasks = [];
      while (tasks.length < count) tasks.push(await pollOne(server, "several", { maxTasks: 1 }));
      return tasks;
    };
    await startExecution(server, "several");
    const one = await taken(3);
    slow = await startExecution(server, "several");
    const [other] = await taken(1);
    const answers = await complete(server, ...one.map((task) => done(task)), done(other!));
    // The first is on its way when the others come, which are decided together.
    expect(answers).toEqual(["ACCEPTED", "STALE", "RETRY", "ACCEPTED"]);
    isAway = false;
    expect(await complete(server, done(one[2]!))).toEqual(["ACCEPTED"]);
  });
});
