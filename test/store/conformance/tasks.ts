/** Claims of tasks, leases and their end. */
import { expect } from "bun:test";
import {
  claim,
  claimDue,
  claimIds,
  extend,
  handedOff,
  idsIn,
  listedBy,
  newTask,
  release,
  start,
  type Test,
  t0,
} from "./subject.ts";
import { ticketTests } from "./tickets.ts";

export function taskTests(test: Test): void {
  claimTests(test);
  fairnessTests(test);
  ticketTests(test);
  extensionTests(test);
  releaseTests(test);
  dropTests(test);
  handOffTests(test);
}

function claimTests(test: Test): void {
  test("a claimed task carries all that a worker needs", async (store) => {
    const parameters = '{"p":1}';
    const task = newTask("t1", { heartbeatMs: 2_000, timeoutMs: 5_000, parameters });
    const e = await start(store, "e1", { effects: { tasks: [task] } });
    const { tasks, more } = await claim(store, e.key.partition, { tokenPrefix: "1.abc" });
    expect(tasks).toEqual([
      {
        key: e.key,
        id: "t1",
        queue: "q/a",
        token: "1.abc.t1",
        leasedAt: t0,
        leaseUntil: t0 + 2_000,
        deadline: t0 + 5_000,
        heartbeatMs: 2_000,
        header: '{"task":"t1"}',
        parameters,
      },
    ]);
    expect(more).toEqual([]);
    expect((await store.holdings(e.key)).tasks).toEqual([
      {
        id: "t1",
        queue: "q/a",
        state: "leased",
        workerId: "w1",
        token: "1.abc.t1",
        leaseUntil: t0 + 2_000,
      },
    ]);
  });

  test("the lease ends with the first of heartbeat and deadline", async (store) => {
    const cases = [
      { own: 0, workers: 1_000, timeout: 5_000, heartbeat: 1_000, until: 1_000 },
      { own: 300, workers: 1_000, timeout: 5_000, heartbeat: 300, until: 300 },
      { own: 0, workers: 0, timeout: 5_000, heartbeat: 0, until: 5_000 },
      { own: 300, workers: 0, timeout: 5_000, heartbeat: 300, until: 300 },
      { own: 9_000, workers: 0, timeout: 5_000, heartbeat: 9_000, until: 5_000 },
    ];
    for (const [i, { own, workers, timeout, heartbeat, until }] of cases.entries()) {
      const task = newTask(`t${i}`, { heartbeatMs: own, timeoutMs: timeout });
      const e = await start(store, `e${i}`, { effects: { tasks: [task] } });
      const changes = { heartbeatMs: workers, tokenPrefix: `1.${i}` };
      const { tasks } = await claim(store, e.key.partition, changes);
      expect(tasks).toMatchObject([
        { heartbeatMs: heartbeat, leaseUntil: t0 + until, deadline: t0 + timeout },
      ]);
    }
  });

  test("a task is given once", async (store) => {
    const tasks = Array.from({ length: 20 }, (_, i) => newTask(`t${i}`));
    const { key } = await start(store, "e1", { effects: { tasks } });
    const prefixes = Array.from({ length: 10 }, (_, i) => ({ tokenPrefix: `1.${i}`, limit: 3 }));
    const given = await Promise.all(prefixes.map((one) => claimIds(store, key.partition, one)));
    const ids = given.flat();
    expect(ids.length).toBe(20);
    expect(new Set(ids).size).toBe(20);
  });

  test("a claim repeated with the same prefix answers what is still leased under it", async (store) => {
    const tasks = ["t1", "t2", "t3"].map((id) => newTask(id));
    const e = await start(store, "e1", { effects: { tasks } });
    const { partition } = e.key;
    const first = await claim(store, partition, { limit: 2, heartbeatMs: 700 });
    const later = { limit: 2, heartbeatMs: 700, now: t0 + 50 };
    const again = await claim(store, partition, later);
    expect(again).toEqual(first);
    expect(again.more).toEqual(["q/a"]);
    await e.commit({ settle: [{ taskId: "t1", token: "1.n.t1" }] });
    expect(await claimIds(store, partition, later)).toEqual(["t2"]);
    await e.commit({ settle: [{ taskId: "t2", token: "1.n.t2" }] });
    expect(await claim(store, partition, later)).toEqual({ tasks: [], more: ["q/a"] });
  });

  test("a repeated claim does not bring a released lease back to life", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    const { key } = e;
    const token = "1.n.t1";
    const late = () => e.try({ settle: [{ taskId: "t1", token }], now: t0 + 20 });
    await claim(store, key.partition);
    await release(store, { key, taskId: "t1", token, now: t0 });
    const repeated = await claim(store, key.partition, { now: t0 + 10 });
    expect(repeated).toEqual({ tasks: [], more: ["q/a"] });
    expect((await late()).outcome).toBe("stale");
    expect(await claimIds(store, key.partition, { tokenPrefix: "1.m" })).toEqual(["t1"]);
    expect(await claim(store, key.partition)).toEqual({ tasks: [], more: [] });
    expect((await late()).outcome).toBe("stale");
    await e.commit({ settle: [{ taskId: "t1", token: "1.m.t1" }] });
  });

  test("a claim that found nothing may be made again", async (store) => {
    const e = await start(store, "e1");
    expect(await claimIds(store, e.key.partition)).toEqual([]);
    await e.commit({ tasks: [newTask("t1")] });
    expect(await claimIds(store, e.key.partition)).toEqual(["t1"]);
  });

  test("the same prefix in another partition is another claim", async (store) => {
    const [a] = idsIn(0, 1) as [string];
    const [b] = idsIn(1, 1) as [string];
    await start(store, a, { effects: { tasks: [newTask("ta")] } });
    await start(store, b, { effects: { tasks: [newTask("tb")] } });
    expect(await claimIds(store, 0)).toEqual(["ta"]);
    expect(await claimIds(store, 1)).toEqual(["tb"]);
    expect(await claimIds(store, 0)).toEqual(["ta"]);
  });

  test("partitions keep their queues apart", async (store) => {
    const [id] = idsIn(2, 1) as [string];
    await start(store, id, { effects: { tasks: [newTask("t1")] } });
    for (const partition of [0, 1, 3]) {
      expect(await claim(store, partition)).toEqual({ tasks: [], more: [] });
      expect(await store.queueHints({ partition })).toEqual([]);
      expect(await store.queueStats({ partition })).toEqual([]);
    }
    expect(await claimIds(store, 2)).toEqual(["t1"]);
  });

  test("queues with nothing answer nothing", async (store) => {
    const queues = [{ name: "nobody", limit: 5 }];
    expect(await claim(store, 0, { queues })).toEqual({ tasks: [], more: [] });
    expect(await claim(store, 0, { queues: [] })).toEqual({ tasks: [], more: [] });
  });
}

function fairnessTests(test: Test): void {
  test("higher priority first, then older first", async (store) => {
    const { key, commit } = await (async () => {
      const tasks = [
        newTask("low", { priority: -5 }),
        newTask("old"),
        newTask("high", { priority: 7 }),
      ];
      const e = await start(store, "e1", { effects: { tasks } });
      return { key: e.key, commit: e.commit.bind(e) };
    })();
    await commit({ tasks: [newTask("young"), newTask("higher", { priority: 8 })] });
    const order = ["higher", "high", "old", "young", "low"];
    for (const [i, id] of order.entries()) {
      const changes = { limit: 1, tokenPrefix: `1.${i}` };
      expect(await claimIds(store, key.partition, changes)).toEqual([id]);
    }
  });

  test("a queue of a thousand comes out in order", async (store) => {
    const ids = Array.from({ length: 1_000 }, (_, i) => `t${i}`);
    const e = await start(store, "e1");
    for (let i = 0; i < 1_000; i += 50) {
      await e.commit({ tasks: ids.slice(i, i + 50).map((id) => newTask(id)) });
    }
    const { partition } = e.key;
    const stats = [{ queue: "q/a", queued: 1_000, leased: 0, oldestAt: t0 }];
    expect(await store.queueStats({ partition })).toEqual(listedBy(store, stats));
    const given: string[] = [];
    for (let i = 0; i < 8; i++) {
      const queues = [{ name: "q/a", limit: 128 }];
      const answer = await claim(store, partition, { queues, limit: 128, tokenPrefix: `1.${i}` });
      given.push(...answer.tasks.map((task) => task.id));
      expect(answer.more).toEqual(i < 7 ? ["q/a"] : []);
    }
    expect(given).toEqual(ids);
  });

  test("queues are asked in their order, each and all within their limits", async (store) => {
    const tasks = ["a", "b", "c"].flatMap((queue) =>
      [1, 2, 3].map((i) => newTask(`${queue}${i}`, { queue })),
    );
    const { key } = await start(store, "e1", { effects: { tasks } });
    const queues = [
      { name: "b", limit: 2 },
      { name: "empty", limit: 9 },
      { name: "a", limit: 3 },
      { name: "c", limit: 3 },
    ];
    const first = await claim(store, key.partition, { queues, limit: 6, tokenPrefix: "1.a" });
    expect(first.tasks.map((task) => task.id)).toEqual(["b1", "b2", "a1", "a2", "a3", "c1"]);
    expect(first.more).toEqual(["b", "c"]);
    const second = await claim(store, key.partition, { queues, limit: 6, tokenPrefix: "1.b" });
    expect(second.tasks.map((task) => task.id)).toEqual(["b3", "c2", "c3"]);
    expect(second.more).toEqual([]);
  });

  test("a limit of zero gives nothing and still tells of more", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    expect(await claim(store, key.partition, { limit: 0 })).toEqual({ tasks: [], more: ["q/a"] });
  });

  test("stats count queued and leased, hints name what is claimable", async (store) => {
    const [one, two] = idsIn(1, 2) as [string, string];
    await start(store, one, { effects: { tasks: [newTask("a1"), newTask("a2")] }, now: t0 - 9 });
    const tasks = [newTask("b1", { queue: "q/b" }), newTask("a3")];
    await start(store, two, { effects: { tasks } });
    expect(await store.queueHints({ partition: 1 })).toEqual(["q/a", "q/b"]);
    await claim(store, 1, { queues: [{ name: "q/b", limit: 1 }], tokenPrefix: "1.b" });
    await claim(store, 1, { queues: [{ name: "q/a", limit: 1 }], tokenPrefix: "1.a" });
    const a = { queue: "q/a", queued: 2, leased: 1, oldestAt: t0 - 9 };
    const b = { queue: "q/b", queued: 0, leased: 1 };
    expect(await store.queueStats({ partition: 1 })).toEqual(listedBy(store, [a, b]));
    const ofB = await store.queueStats({ partition: 1, queue: "q/b" });
    expect(ofB).toEqual(listedBy(store, [b]));
    expect(await store.queueStats({ partition: 1, queue: "nobody" })).toEqual([]);
    expect(await store.queueHints({ partition: 1 })).toEqual(["q/a"]);
  });
}

function extensionTests(test: Test): void {
  const withDue = test.also("due");
  const token = "1.n.t1";

  test("a lease is extended up to its deadline, and never shortened", async (store) => {
    const task = newTask("t1", { timeoutMs: 5_000 });
    const { key } = await start(store, "e1", { effects: { tasks: [task] } });
    await claim(store, key.partition);
    const at = (until: number, now = t0) => extend(store, { key, taskId: "t1", token, until, now });
    expect(await at(t0 + 3_000)).toEqual({ outcome: "extended", leaseUntil: t0 + 3_000 });
    expect(await at(t0 + 2_000)).toEqual({ outcome: "extended", leaseUntil: t0 + 3_000 });
    expect(await at(t0 + 9_000)).toEqual({ outcome: "extended", leaseUntil: t0 + 5_000 });
    expect(await at(t0 + 9_000, t0 + 5_000)).toEqual({
      outcome: "extended",
      leaseUntil: t0 + 5_000,
    });
    expect(await at(t0 + 9_000, t0 + 5_001)).toEqual({ outcome: "stale" });
  });

  withDue("an extension after the lease's end is stale and revives nothing", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    await claim(store, key.partition);
    const late = { key, taskId: "t1", token, until: t0 + 9_000, now: t0 + 1_001 };
    expect(await extend(store, late)).toEqual({ outcome: "stale" });
    const { items } = await claimDue(store, key.partition, t0 + 1_001);
    expect(items).toMatchObject([{ kind: "lease", leaseUntil: t0 + 1_000 }]);
  });

  withDue(
    "after its end it is extended by who may be late, also while its end is claimed",
    async (store) => {
      const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
      const { key } = e;
      const now = t0 + 1_200;
      const lease = { key, taskId: "t1", token, until: now + 500, now };
      expect(await claimDue(store, key.partition, now)).toMatchObject({
        items: [{ kind: "lease" }],
      });
      expect(await extend(store, lease, { lateMs: 199 })).toEqual({ outcome: "stale" });
      const extended = { outcome: "extended" as const, leaseUntil: now + 500 };
      expect(await extend(store, lease, { lateMs: 200 })).toEqual(extended);
      const expire = [{ taskId: "t1", token, until: t0 + 1_000 }];
      expect(await e.try({ expire, now })).toEqual({ outcome: "stale", tasks: ["t1"], timers: [] });
      expect((await claimDue(store, key.partition, now)).items).toEqual([]);
      const { items } = await claimDue(store, key.partition, now + 500);
      expect(items).toMatchObject([{ kind: "lease", leaseUntil: now + 500 }]);
    },
  );

  test("another token, a queued, an ended or an unknown task is stale", async (store) => {
    const tasks = [newTask("t1"), newTask("t2", { queue: "other" })];
    const e = await start(store, "e1", { effects: { tasks } });
    const { key } = e;
    await claim(store, key.partition);
    const leases = [
      { key, taskId: "t1", token: "1.wrong.t1", until: t0 + 2_000 },
      { key, taskId: "t1", token, until: t0 + 2_000 },
      { key, taskId: "t2", token, until: t0 + 2_000 },
      { key, taskId: "t9", token, until: t0 + 2_000 },
      { key: { ...key, id: "nobody" }, taskId: "t1", token, until: t0 + 2_000 },
    ];
    const { partition } = key;
    const answers = await store.extendLeases({ partition, leases, now: t0 });
    const outcomes = answers.map((answer) => answer.outcome);
    expect(outcomes).toEqual(["stale", "extended", "stale", "stale", "stale"]);
    await e.commit({ settle: [{ taskId: "t1", token }] });
    const after = { key, taskId: "t1", token, until: t0 + 2_000, now: t0 };
    expect(await extend(store, after)).toEqual({ outcome: "stale" });
  });

  test("a heartbeat against the expiry: the first one wins, never both", async (store) => {
    for (const first of ["heartbeat", "expiry"] as const) {
      const e = await start(store, first, { effects: { tasks: [handedOff("t1", token)] } });
      const now = t0 + 1_000;
      const lease = { key: e.key, taskId: "t1", token, until: t0 + 2_000, now };
      const expire = [{ taskId: "t1", token, until: t0 + 1_000 }];
      if (first === "heartbeat") {
        expect((await extend(store, lease))?.outcome).toBe("extended");
        const answer = await e.try({ expire, now });
        expect(answer).toEqual({ outcome: "stale", tasks: ["t1"], timers: [] });
      } else {
        await e.commit({ expire, now });
        expect(await extend(store, lease)).toEqual({ outcome: "stale" });
      }
    }
  });

  test("a result against the expiry: the first one wins, never both", async (store) => {
    const settle = [{ taskId: "t1", token }];
    const expire = [{ ...settle[0]!, until: t0 + 1_000 }];
    for (const [first, second] of [
      [{ settle }, { expire }],
      [{ expire }, { settle }],
    ]) {
      const id = first?.settle === undefined ? "expired" : "settled";
      const e = await start(store, id, { effects: { tasks: [handedOff("t1", token)] } });
      await e.commit({ ...first, now: t0 + 1_500 });
      const answer = await e.try({ ...second, now: t0 + 1_500 });
      expect(answer).toEqual({ outcome: "stale", tasks: ["t1"], timers: [] });
    }
  });

  test("a late result counts as long as nobody expired the lease", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    await e.commit({ settle: [{ taskId: "t1", token }], now: t0 + 60_000 });
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });
}

function releaseTests(test: Test): void {
  const withDue = test.also("due");
  test("a released task goes to the front among equals", async (store) => {
    const tasks = ["t1", "t2", "t3"].map((id) => newTask(id));
    const { key } = await start(store, "e1", { effects: { tasks } });
    await claim(store, key.partition, { limit: 2 });
    const released = { key, taskId: "t2", token: "1.n.t2", now: t0 };
    expect(await release(store, released)).toBe("released");
    expect(await store.queueHints({ partition: key.partition })).toEqual(["q/a"]);
    const next = await claim(store, key.partition, { tokenPrefix: "1.m" });
    expect(next.tasks.map((task) => task.id)).toEqual(["t2", "t3"]);
  });

  test("a repeated release is released, until another has the task", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    await claim(store, key.partition);
    const mine = { key, taskId: "t1", token: "1.n.t1", now: t0 };
    expect(await release(store, mine)).toBe("released");
    expect(await release(store, mine)).toBe("released");
    await claim(store, key.partition, { tokenPrefix: "1.m" });
    expect(await release(store, mine)).toBe("stale");
    const { tasks } = await store.holdings(key);
    expect(tasks).toMatchObject([{ state: "leased", token: "1.m.t1" }]);
  });

  withDue("a released lease can be neither extended, nor settled, nor expired", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    const { key } = e;
    await claim(store, key.partition);
    const token = "1.n.t1";
    await release(store, { key, taskId: "t1", token, now: t0 });
    const lease = { key, taskId: "t1", token, until: t0 + 2_000, now: t0 };
    expect(await extend(store, lease)).toEqual({ outcome: "stale" });
    expect((await e.try({ settle: [{ taskId: "t1", token }] })).outcome).toBe("stale");
    const expire = [{ taskId: "t1", token, until: t0 + 1_000 }];
    expect((await e.try({ expire })).outcome).toBe("stale");
    expect((await claimDue(store, key.partition, t0 + 9_000)).items).toEqual([]);
  });

  test("others' tokens, queued and unknown tasks are stale", async (store) => {
    const tasks = [newTask("t1"), newTask("t2", { queue: "other" })];
    const { key } = await start(store, "e1", { effects: { tasks } });
    await claim(store, key.partition);
    const asked = [
      { key, taskId: "t1", token: "1.wrong.t1" },
      { key, taskId: "t2", token: "1.n.t2" },
      { key, taskId: "t9", token: "1.n.t9" },
      { key: { ...key, id: "nobody" }, taskId: "t1", token: "1.n.t1" },
      { key, taskId: "t1", token: "1.n.t1" },
    ];
    const { partition } = key;
    const answers = await store.releaseTasks({ partition, tasks: asked, now: t0 });
    expect(answers).toEqual(["stale", "stale", "stale", "stale", "released"]);
  });
}

function dropTests(test: Test): void {
  const withDue = test.also("due");
  const token = "1.n.t1";
  const heartbeat = { taskId: "t1", token, until: t0 + 9_000 };

  withDue(
    "the worker of a dropped task hears cancelled until its lease would have ended",
    async (store) => {
      const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
      const { key } = e;
      await e.commit({ dropTasks: ["t1"] });
      expect((await store.holdings(key)).tasks).toEqual([]);
      expect(await store.queueStats({ partition: key.partition })).toEqual([]);
      const at = (now: number) => extend(store, { key, ...heartbeat, now });
      expect(await at(t0 + 1)).toEqual({ outcome: "cancelled" });
      expect(await claimDue(store, key.partition, t0 + 1_000, "c0")).toEqual({ items: [] });
      expect(await at(t0 + 1_000)).toEqual({ outcome: "cancelled" });
      expect(await extend(store, { key, ...heartbeat, token: "1.x.t1", now: t0 })).toEqual({
        outcome: "stale",
      });
      expect(await at(t0 + 1_001)).toEqual({ outcome: "stale" });
      expect(await claimDue(store, key.partition, t0 + 1_001)).toEqual({ items: [] });
      expect(await at(t0 + 1_001)).toEqual({ outcome: "stale" });
    },
  );

  withDue(
    "a dropped task can be neither settled, nor expired, nor released, nor claimed",
    async (store) => {
      const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
      const { key } = e;
      await e.commit({ dropTasks: ["t1"] });
      expect((await e.try({ settle: [{ taskId: "t1", token }] })).outcome).toBe("stale");
      const expire = [{ taskId: "t1", token, until: t0 + 1_000 }];
      expect((await e.try({ expire })).outcome).toBe("stale");
      expect(await release(store, { key, taskId: "t1", token, now: t0 })).toBe("stale");
      expect(await claimIds(store, key.partition, { tokenPrefix: "1.m" })).toEqual([]);
      expect((await claimDue(store, key.partition, t0 + 1_000)).items).toEqual([]);
    },
  );

  test("a dropped queued task is gone without a trace; unknown ids are ignored", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    await e.commit({ dropTasks: ["t1", "t9"], dropTimers: ["x"] });
    expect(await claimIds(store, e.key.partition)).toEqual([]);
    const answer = await extend(store, { key: e.key, ...heartbeat, now: t0 });
    expect(answer).toEqual({ outcome: "stale" });
  });

  test("a task is dropped or settled and added again in one commit", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    await e.commit({ settle: [{ taskId: "t1", token }], tasks: [handedOff("t1", "1.m.t1")] });
    expect((await store.holdings(e.key)).tasks).toMatchObject([{ token: "1.m.t1" }]);
    await e.commit({ dropTasks: ["t1"], tasks: [newTask("t1")] });
    expect((await store.holdings(e.key)).tasks).toMatchObject([{ state: "queued" }]);
    const old = { key: e.key, ...heartbeat, token: "1.m.t1", now: t0 };
    expect(await extend(store, old)).toEqual({ outcome: "stale" });
    expect(await claimIds(store, e.key.partition)).toEqual(["t1"]);
  });
}

function handOffTests(test: Test): void {
  const withDue = test.also("due");
  withDue("a task added with a lease belongs to its poller at once", async (store) => {
    const e = await start(store, "e1");
    const { key } = e;
    await e.commit({ tasks: [handedOff("t1", "1.n.t1")], now: t0 });
    expect(await claim(store, key.partition, { tokenPrefix: "1.m" })).toEqual({
      tasks: [],
      more: [],
    });
    expect((await store.holdings(key)).tasks).toEqual([
      {
        id: "t1",
        queue: "q/a",
        state: "leased",
        workerId: "w1",
        token: "1.n.t1",
        leaseUntil: t0 + 1_000,
      },
    ]);
    const lease = { key, taskId: "t1", token: "1.n.t1", until: t0 + 99_000, now: t0 };
    expect(await extend(store, lease)).toEqual({ outcome: "extended", leaseUntil: t0 + 5_000 });
    expect((await claimDue(store, key.partition, t0 + 5_000)).items).toEqual([
      {
        kind: "lease",
        key,
        taskId: "t1",
        token: "1.n.t1",
        workerId: "w1",
        leaseUntil: t0 + 5_000,
        deadline: t0 + 5_000,
      },
    ]);
  });

  test("a task handed off and released is queued like any other", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    await release(store, { key: e.key, taskId: "t1", token: "1.n.t1", now: t0 });
    const { tasks } = await claim(store, e.key.partition, { tokenPrefix: "1.m", now: t0 + 10 });
    expect(tasks).toMatchObject([{ id: "t1", leasedAt: t0 + 10, deadline: t0 + 300_010 }]);
  });

  test("a handed-off task keeps the place of its own adding, not of its predecessor", async (store) => {
    const tasks = [handedOff("t1", "1.n.t1"), newTask("t2")];
    const e = await start(store, "e1", { effects: { tasks } });
    const { key } = e;
    const settle = [{ taskId: "t1", token: "1.n.t1" }];
    await e.commit({ settle, tasks: [handedOff("t3", "1.n.t3")] });
    await release(store, { key, taskId: "t3", token: "1.n.t3", now: t0 });
    expect(await claimIds(store, key.partition, { tokenPrefix: "1.m" })).toEqual(["t2", "t3"]);
  });

  withDue("of a chain of hand-offs only the last lease counts", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    const { key } = e;
    const first = [{ taskId: "t1", token: "1.n.t1" }];
    const second = handedOff("t2", "1.n.t2");
    const later = { ...second, lease: { ...second.lease!, leaseUntil: t0 + 2_000 } };
    await e.commit({ settle: first, tasks: [later] });
    expect(await store.commit(e.request({ settle: first }))).toMatchObject({ outcome: "stale" });
    const stolen = [{ taskId: "t2", token: "1.x.t2" }];
    expect(await store.commit(e.request({ settle: stolen }))).toMatchObject({ outcome: "stale" });
    const stats = [{ queue: "q/a", queued: 0, leased: 1 }];
    expect(await store.queueStats({ partition: key.partition })).toMatchObject([
      ...listedBy(store, stats),
    ]);
    expect(await claimDue(store, key.partition, t0 + 1_000)).toEqual({
      items: [],
      nextDue: t0 + 2_000,
    });
    await e.commit({ settle: [{ taskId: "t2", token: "1.n.t2" }] });
    expect((await store.holdings(key)).tasks).toEqual([]);
    expect(await claimDue(store, key.partition, t0 + 9_000, "c2")).toEqual({ items: [] });
    expect(await store.queueStats({ partition: key.partition })).toEqual([]);
  });

  test("a handed-off task that is dropped tells its worker so", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    const { key } = e;
    await e.commit({ dropTasks: ["t1"] });
    expect((await store.holdings(key)).tasks).toEqual([]);
    const lease = { key, taskId: "t1", token: "1.n.t1", until: t0 + 3_000, now: t0 };
    expect(await extend(store, lease)).toEqual({ outcome: "cancelled" });
  });

  test("a repeated claim that asks for nothing more finds what it has leased", async (store) => {
    const { key } = await start(store, "e1", {
      effects: { tasks: [newTask("t1"), newTask("t2")] },
    });
    const { partition } = key;
    const nothing = { queues: [{ name: "q/a", limit: 0 }], limit: 0 };
    expect(await claimIds(store, partition, { tokenPrefix: "1.none", ...nothing })).toEqual([]);
    await claim(store, partition, { limit: 1, queues: [{ name: "q/a", limit: 1 }] });
    const again = await claim(store, partition, { ...nothing, now: t0 + 5 });
    expect([again.tasks.map(({ id }) => id), again.more]).toEqual([["t1"], ["q/a"]]);
  });

  test("a queue that is asked for twice gives its tasks once", async (store) => {
    const tasks = [newTask("t1", { queueTimeoutMs: 500 }), newTask("t2")];
    const { key } = await start(store, "e1", { effects: { tasks } });
    const queues = Array.from({ length: 2 }, () => ({ name: "q/a", limit: 100 }));
    expect((await claimIds(store, key.partition, { queues })).sort()).toEqual(["t1", "t2"]);
  });

  test("branches hand off side by side", async (store) => {
    const tasks = [handedOff("a1", "1.n.a1"), handedOff("b1", "1.n.b1")];
    const e = await start(store, "e1", { effects: { tasks } });
    const next = async (ended: string, following: string) =>
      e.commit({
        settle: [{ taskId: ended, token: `1.n.${ended}` }],
        tasks: [handedOff(following, `1.n.${following}`)],
      });
    await next("a1", "a2");
    await next("b1", "b2");
    await next("a2", "a3");
    const held = (await store.holdings(e.key)).tasks.map(({ id }) => id);
    expect(held).toEqual(["b2", "a3"]);
    await e.commit({
      settle: [
        { taskId: "a3", token: "1.n.a3" },
        { taskId: "b2", token: "1.n.b2" },
      ],
    });
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });

  test("a task that is added again replaces the one of its id", async (store) => {
    const tasks = [newTask("t1"), handedOff("t2", "1.n.t2")];
    const e = await start(store, "e1", { effects: { tasks } });
    const { key } = e;
    const settle = [{ taskId: "t2", token: "1.n.t2" }];
    await e.commit({ settle, tasks: [handedOff("t1", "1.n.t1")] });
    expect(await claimIds(store, key.partition, { tokenPrefix: "1.m" })).toEqual([]);
    expect((await store.holdings(key)).tasks).toMatchObject([{ id: "t1", token: "1.n.t1" }]);
    await e.commit({ tasks: [newTask("t1", { parameters: "2" })] });
    const { tasks: given } = await claim(store, key.partition, { tokenPrefix: "1.m" });
    expect(given).toMatchObject([{ id: "t1", parameters: "2" }]);
  });
}
