/** Timers, ends of leases, queue timeouts, and holding an execution. */
import { expect } from "bun:test";
import { compareText } from "../../../src/store/kit/order.ts";
import type { Store, TimerPlace } from "../../../src/store/store.ts";
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

export function dueTests(test: Test): void {
  timerTests(test);
  listingTests(test);
  hidingTests(test);
  queueTimeoutTests(test);
  holdTests(test);
}

function timerTests(test: Test): void {
  test("timers come when they are due, earliest first, with the next moment", async (store) => {
    const timers = [
      { id: "c", at: t0 + 30 },
      { id: "a", at: t0 + 10 },
      { id: "b", at: t0 + 20 },
    ];
    const { key } = await start(store, "e1", { effects: { timers } });
    const { partition } = key;
    expect(await claimDue(store, partition, t0)).toEqual({ items: [], nextDue: t0 + 10 });
    expect(await claimDue(store, partition, t0 + 20)).toEqual({
      items: [
        { kind: "timer", key, id: "a", at: t0 + 10 },
        { kind: "timer", key, id: "b", at: t0 + 20 },
      ],
      nextDue: t0 + 30,
    });
    for (const other of [0, 1, 2, 3].filter((one) => one !== partition)) {
      expect(await claimDue(store, other, t0 + 99)).toEqual({ items: [] });
    }
  });

  test("a claim within its limit says that more is due", async (store) => {
    const timers = [5, 3, 1, 4, 2].map((i) => ({ id: `x${i}`, at: t0 + i }));
    const { key } = await start(store, "e1", { effects: { timers } });
    const request = { partition: key.partition, limit: 2, hideMs: 1_000, now: t0 + 4 };
    const first = await store.claimDue({ ...request, claimId: "c1" });
    expect(first.items).toMatchObject([{ id: "x1" }, { id: "x2" }]);
    expect(first.nextDue).toBe(t0 + 3);
    const second = await store.claimDue({ ...request, claimId: "c2" });
    expect(second.items).toMatchObject([{ id: "x3" }, { id: "x4" }]);
    expect(second.nextDue).toBe(t0 + 5);
  });

  test("timers, leases and queue timeouts come in one order", async (store) => {
    const tasks = [
      newTask("queued", { queueTimeoutMs: 20 }),
      handedOff("leased", "1.n.leased", {
        lease: { token: "1.n.leased", workerId: "w1", leaseUntil: t0 + 10, deadline: t0 + 50 },
      }),
    ];
    const timers = [{ id: "x", at: t0 + 15 }];
    const { key } = await start(store, "e1", { effects: { tasks, timers } });
    expect((await claimDue(store, key.partition, t0 + 20)).items).toEqual([
      {
        kind: "lease",
        key,
        taskId: "leased",
        token: "1.n.leased",
        workerId: "w1",
        leaseUntil: t0 + 10,
        deadline: t0 + 50,
      },
      { kind: "timer", key, id: "x", at: t0 + 15 },
      { kind: "queue", key, taskId: "queued", queueUntil: t0 + 20 },
    ]);
  });

  test("a timer added again is moved; a dropped one never comes", async (store) => {
    const timers = [
      { id: "x", at: t0 + 10 },
      { id: "y", at: t0 + 10 },
    ];
    const e = await start(store, "e1", { effects: { timers } });
    await e.commit({ timers: [{ id: "x", at: t0 + 50 }], dropTimers: ["y"] });
    expect(await claimDue(store, e.key.partition, t0 + 20)).toEqual({
      items: [],
      nextDue: t0 + 50,
    });
    expect((await store.holdings(e.key)).timers).toEqual([{ id: "x", at: t0 + 50 }]);
  });

  test("a timer is dropped and added in one commit", async (store) => {
    const e = await start(store, "e1", { effects: { timers: [{ id: "x", at: t0 + 10 }] } });
    await e.commit({ timers: [{ id: "x", at: t0 + 50 }], dropTimers: ["x"] });
    expect((await store.holdings(e.key)).timers).toEqual([{ id: "x", at: t0 + 50 }]);
    await claimDue(store, e.key.partition, t0 + 50);
    const consumeTimers = [{ id: "x", claimId: "c1" }];
    await e.commit({ consumeTimers, timers: [{ id: "x", at: t0 + 70 }] });
    expect((await store.holdings(e.key)).timers).toEqual([{ id: "x", at: t0 + 70 }]);
  });

  test("a timer is consumed by exactly its latest claim", async (store) => {
    const e = await start(store, "e1", { effects: { timers: [{ id: "x", at: t0 }] } });
    const { partition } = e.key;
    const consume = (claimId: string) => e.try({ consumeTimers: [{ id: "x", claimId }] });
    const stale = { outcome: "stale" as const, tasks: [], timers: ["x"] };
    expect(await consume("c1")).toEqual(stale);
    await claimDue(store, partition, t0, "c1");
    await claimDue(store, partition, t0 + 200, "c2");
    expect(await consume("c1")).toEqual(stale);
    expect((await consume("c2")).outcome).toBe("committed");
    expect(await consume("c2")).toEqual(stale);
    expect(await claimDue(store, partition, t0 + 9_999, "c3")).toEqual({ items: [] });
  });

  test("a claim whose hiding has lapsed still consumes, if nobody claimed since", async (store) => {
    const e = await start(store, "e1", { effects: { timers: [{ id: "x", at: t0 }] } });
    await claimDue(store, e.key.partition, t0);
    await e.commit({ consumeTimers: [{ id: "x", claimId: "c1" }], now: t0 + 9_999 });
  });

  test("a moved timer loses its claim, even when it moves to the same moment", async (store) => {
    const e = await start(store, "e1", { effects: { timers: [{ id: "x", at: t0 }] } });
    const { partition } = e.key;
    await claimDue(store, partition, t0, "c1");
    await e.commit({ timers: [{ id: "x", at: t0 }] });
    expect((await e.try({ consumeTimers: [{ id: "x", claimId: "c1" }] })).outcome).toBe("stale");
    expect((await claimDue(store, partition, t0, "c2")).items).toMatchObject([{ id: "x" }]);
  });

  test("timers of the same id in two executions are two timers", async (store) => {
    const [one, two] = idsIn(3, 2) as [string, string];
    const a = await start(store, one, { effects: { timers: [{ id: "x", at: t0 }] } });
    const b = await start(store, two, { effects: { timers: [{ id: "x", at: t0 + 1 }] } });
    expect((await claimDue(store, 3, t0 + 1)).items.map((item) => item.key)).toEqual([
      a.key,
      b.key,
    ]);
    await a.commit({ consumeTimers: [{ id: "x", claimId: "c1" }] });
    expect((await store.holdings(b.key)).timers).toEqual([{ id: "x", at: t0 + 1 }]);
  });
}

function listingTests(test: Test): void {
  const pages = async (store: Store, limit: number) => {
    const found: TimerPlace[] = [];
    for (let page: readonly TimerPlace[] = [], first = true; first || page.length === limit; ) {
      const after = page.at(-1);
      page = await store.listTimers!({
        partition: 3,
        limit,
        ...(after !== undefined && { after }),
      });
      found.push(...page);
      first = false;
    }
    return found.map(({ key, id, due }) => [key.id, id, due - t0] as const);
  };

  test("timers are listed in order, in pages, whether due or not", async (store) => {
    const [one, two, three] = idsIn(3, 3).sort(compareText) as [string, string, string];
    const at = (...moments: number[]) => ({
      effects: { timers: moments.map((moment, i) => ({ id: `x${i}`, at: t0 + moment })) },
    });
    await start(store, two, at(10, 10, -20));
    await start(store, one, at(10, 900_000));
    await start(store, three, at(10));
    await start(store, idsIn(2, 1)[0] as string, at(5));
    const expected = [
      [two, "x2", -20] as const,
      [one, "x0", 10] as const,
      [two, "x0", 10] as const,
      [two, "x1", 10] as const,
      [three, "x0", 10] as const,
      [one, "x1", 900_000] as const,
    ];
    for (const limit of [1, 2, 3, 9]) expect(await pages(store, limit)).toEqual(expected);
    expect((await claimDue(store, 3, t0 + 10)).items.length).toBe(5);
  });

  test("a listed timer stands where it is hidden or moved to; others do not stand", async (store) => {
    const [id, other] = idsIn(3, 2) as [string, string];
    const timers = [1, 2, 3, 4].map((i) => ({ id: `x${i}`, at: t0 + i }));
    const e = await start(store, id, { effects: { timers, tasks: [newTask("t1")] } });
    const removed = await start(store, other, { effects: { timers } });
    await e.commit({ timers: [{ id: "x2", at: t0 + 50 }], dropTimers: ["x3"] });
    const { key, head: expected } = removed;
    await store.remove({ key, expected, tombstoneUntil: t0 + 99, now: t0 });
    await claimDue(store, 3, t0 + 1, "c1");
    const left = [["x4", 4] as const, ["x2", 50] as const, ["x1", 101] as const];
    const listed = left.map(([timer, due]) => [id, timer, due] as const);
    expect(await pages(store, 9)).toEqual(listed);
    // A place does not need to be taken any more.
    const after = { key, id: "x4", due: t0 + 4 };
    const rest = await store.listTimers!({ partition: 3, after, limit: 9 });
    const isLater = compareText(id, other) > 0;
    expect(rest.map((timer) => timer.id)).toEqual(isLater ? ["x4", "x2", "x1"] : ["x2", "x1"]);
  });
}

function hidingTests(test: Test): void {
  const withTasks = test.also("tasks");
  const token = "1.n.t1";
  const leaseEnd = { kind: "lease", taskId: "t1", token } as const;

  test("what was given is hidden from others, and comes back", async (store) => {
    const timers = [{ id: "x", at: t0 }];
    const { key } = await start(store, "e1", { effects: { timers } });
    const { partition } = key;
    const first = await claimDue(store, partition, t0, "c1");
    expect(first).toEqual({ items: [{ kind: "timer", key, id: "x", at: t0 }] });
    expect(await claimDue(store, partition, t0 + 99, "c2")).toEqual({
      items: [],
      nextDue: t0 + 100,
    });
    expect(await claimDue(store, partition, t0 + 100, "c2")).toEqual(first);
  });

  test("a repeated claim answers what is still under it, and claims nothing else", async (store) => {
    const timers = [1, 2, 3].map((i) => ({ id: `x${i}`, at: t0 + i }));
    const e = await start(store, "e1", { effects: { timers } });
    const { partition } = e.key;
    const first = await claimDue(store, partition, t0 + 2);
    expect(await claimDue(store, partition, t0 + 5)).toEqual(first);
    await e.commit({ consumeTimers: [{ id: "x1", claimId: "c1" }] });
    expect((await claimDue(store, partition, t0 + 5)).items).toMatchObject([{ id: "x2" }]);
    const other = await claimDue(store, partition, t0 + 5, "c2");
    expect(other.items).toMatchObject([{ id: "x3" }]);
    expect(other.nextDue).toBe(t0 + 102);
  });

  test("a lapsed lease is given, hidden, and given again", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    const { partition } = key;
    expect(await claimDue(store, partition, t0 + 999, "c0")).toEqual({
      items: [],
      nextDue: t0 + 1_000,
    });
    expect((await claimDue(store, partition, t0 + 1_000, "c1")).items).toMatchObject([leaseEnd]);
    expect((await claimDue(store, partition, t0 + 1_050, "c2")).items).toEqual([]);
    const again = await claimDue(store, partition, t0 + 1_100, "c3");
    expect(again.items).toMatchObject([{ ...leaseEnd, leaseUntil: t0 + 1_000 }]);
  });

  withTasks("a heartbeat that moves the lease ends the hiding", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    const { partition } = key;
    const request = { partition, claimId: "c1", limit: 9, hideMs: 60_000, now: t0 + 1_000 };
    await store.claimDue(request);
    await extend(store, { key, taskId: "t1", token, until: t0 + 1_200, now: t0 + 1_000 });
    expect(await claimDue(store, partition, t0 + 1_000, "c2")).toEqual({
      items: [],
      nextDue: t0 + 1_200,
    });
    const { items } = await claimDue(store, partition, t0 + 1_200, "c3");
    expect(items).toMatchObject([{ ...leaseEnd, leaseUntil: t0 + 1_200 }]);
  });

  withTasks("a release ends the hiding, and the next lease has its own end", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    const { partition } = key;
    const request = { partition, claimId: "c1", limit: 9, hideMs: 60_000, now: t0 + 1_000 };
    await store.claimDue(request);
    await release(store, { key, taskId: "t1", token, now: t0 + 1_000 });
    expect((await claimDue(store, partition, t0 + 2_000, "c2")).items).toEqual([]);
    await claim(store, partition, { tokenPrefix: "1.m", now: t0 + 2_000 });
    const due = await claimDue(store, partition, t0 + 3_000, "c3");
    expect(due.items).toMatchObject([{ kind: "lease", token: "1.m.t1", leaseUntil: t0 + 3_000 }]);
  });

  test("a settled task is not due any more", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    await e.commit({ settle: [{ taskId: "t1", token }] });
    expect(await claimDue(store, e.key.partition, t0 + 99_000)).toEqual({ items: [] });
  });
}

function queueTimeoutTests(test: Test): void {
  const withTasks = test.also("tasks");
  const waiting = () => newTask("t1", { queueTimeoutMs: 500 });

  withTasks("a queued task expires by the moment that was seen", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [waiting()] } });
    const { key } = e;
    const expire = (until: number, token: string | null = null) =>
      e.try({ expire: [{ taskId: "t1", token, until }], now: t0 + 500 });
    expect(await claimDue(store, key.partition, t0 + 500)).toEqual({
      items: [{ kind: "queue", key, taskId: "t1", queueUntil: t0 + 500 }],
    });
    expect((await expire(t0 + 499)).outcome).toBe("stale");
    expect((await expire(t0 + 500, "1.n.t1")).outcome).toBe("stale");
    expect((await expire(t0 + 500)).outcome).toBe("committed");
    expect(await claimIds(store, key.partition, { now: t0 + 500 })).toEqual([]);
  });

  test("a task without a queue timeout waits for ever", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    expect(await claimDue(store, key.partition, t0 + 10 ** 11)).toEqual({ items: [] });
  });

  withTasks(
    "a hand-out in between makes the queue's expiry stale, and resets the hiding",
    async (store) => {
      const e = await start(store, "e1", { effects: { tasks: [waiting()] } });
      const { partition } = e.key;
      await claimDue(store, partition, t0 + 500, "c1");
      await claim(store, partition, { now: t0 + 500, heartbeatMs: 50 });
      const expire = [{ taskId: "t1", token: null, until: t0 + 500 }];
      expect((await e.try({ expire })).outcome).toBe("stale");
      const { items } = await claimDue(store, partition, t0 + 550, "c2");
      expect(items).toMatchObject([{ kind: "lease", leaseUntil: t0 + 550 }]);
    },
  );

  withTasks("the queue timeout stands still while the task is leased", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [waiting()] } });
    const { key } = e;
    await claim(store, key.partition, { now: t0 + 200 });
    await release(store, { key, taskId: "t1", token: "1.n.t1", now: t0 + 900 });
    expect(
      (await e.try({ expire: [{ taskId: "t1", token: null, until: t0 + 500 }] })).outcome,
    ).toBe("stale");
    expect(await claimDue(store, key.partition, t0 + 1_199)).toEqual({
      items: [],
      nextDue: t0 + 1_200,
    });
  });
}

function holdTests(test: Test): void {
  const withTasks = test.also("tasks");
  const waiting = (id: string) => newTask(id, { queueTimeoutMs: 500 });

  withTasks("held tasks are not handed out, and are again afterwards", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    const { key } = e;
    const { partition } = key;
    await e.commit({ hold: true });
    expect(await store.load({ key })).toMatchObject({ held: true });
    expect(await claim(store, partition)).toEqual({ tasks: [], more: [] });
    expect(await store.queueHints({ partition })).toEqual([]);
    const worker = { tokenPrefix: "1.n", workerId: "w", heartbeatMs: 0, now: t0 };
    const claimed = await store.claimTask({ key, taskId: "t1", ...worker });
    expect(claimed).toEqual({ outcome: "held" });
    const stats = [{ queue: "q/a", queued: 1, leased: 0, oldestAt: t0 }];
    expect(await store.queueStats({ partition })).toEqual(listedBy(store, stats));
    await e.commit({});
    expect(await store.load({ key })).toMatchObject({ held: true });
    expect(await claimIds(store, partition)).toEqual([]);
    await e.commit({ hold: false });
    expect(await store.load({ key })).toMatchObject({ held: false });
    expect(await store.queueHints({ partition })).toEqual(["q/a"]);
    expect(await claimIds(store, partition)).toEqual(["t1"]);
  });

  withTasks("one held execution does not stop another in the same queue", async (store) => {
    const [one, two] = idsIn(2, 2) as [string, string];
    const held = await start(store, one, { effects: { tasks: [newTask("t1")] } });
    await start(store, two, { effects: { tasks: [newTask("t2")] } });
    await held.commit({ hold: true });
    expect(await claim(store, 2)).toMatchObject({ tasks: [{ id: "t2" }], more: [] });
  });

  test("queue timeouts stand still while held", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [waiting("t1")] } });
    const { partition } = e.key;
    await e.commit({ hold: true, now: t0 + 200 });
    expect(await claimDue(store, partition, t0 + 90_000)).toEqual({ items: [] });
    const expire = [{ taskId: "t1", token: null, until: t0 + 500 }];
    expect((await e.try({ expire, now: t0 + 900 })).outcome).toBe("stale");
    await e.commit({ hold: true, now: t0 + 1_000 });
    await e.commit({ hold: false, now: t0 + 2_000 });
    expect(await claimDue(store, partition, t0 + 2_000)).toEqual({
      items: [],
      nextDue: t0 + 2_300,
    });
    await e.commit({ hold: false, now: t0 + 2_100 });
    expect(await claimDue(store, partition, t0 + 2_100)).toEqual({
      items: [],
      nextDue: t0 + 2_300,
    });
  });

  test("a timeout that had passed when the hold began is due at its end", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [waiting("t1")] } });
    await claimDue(store, e.key.partition, t0 + 600, "c1");
    await e.commit({ hold: true, now: t0 + 600 });
    await e.commit({ hold: false, now: t0 + 900 });
    const { items } = await claimDue(store, e.key.partition, t0 + 900, "c2");
    expect(items).toMatchObject([{ kind: "queue", queueUntil: t0 + 900 }]);
  });

  withTasks("tasks added or released while held are held too", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [waiting("t1")] } });
    const { key } = e;
    const { partition } = key;
    await claim(store, partition, { now: t0 + 100 });
    await e.commit({ hold: true, tasks: [waiting("t2")], now: t0 + 150 });
    await release(store, { key, taskId: "t1", token: "1.n.t1", now: t0 + 200 });
    await e.commit({ tasks: [waiting("t3")], now: t0 + 300 });
    expect(await claimIds(store, partition, { tokenPrefix: "1.m" })).toEqual([]);
    expect(await claimDue(store, partition, t0 + 90_000, "c1")).toEqual({ items: [] });
    await e.commit({ hold: false, tasks: [waiting("t4")], now: t0 + 1_000 });
    expect((await claimDue(store, partition, t0 + 1_500, "c2")).items).toMatchObject([
      { taskId: "t1", queueUntil: t0 + 1_400 },
      { taskId: "t2", queueUntil: t0 + 1_500 },
      { taskId: "t3", queueUntil: t0 + 1_500 },
      { taskId: "t4", queueUntil: t0 + 1_500 },
    ]);
    const later = { tokenPrefix: "1.m", now: t0 + 1_500 };
    const ids = (await claimIds(store, partition, later)).sort();
    expect(ids).toEqual(["t1", "t2", "t3", "t4"]);
  });

  withTasks("a leased task does not notice that its execution is held", async (store) => {
    const token = "1.n.t1";
    const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", token)] } });
    const { key } = e;
    await e.commit({ hold: true });
    const lease = { key, taskId: "t1", token, until: t0 + 2_000, now: t0 };
    expect((await extend(store, lease))?.outcome).toBe("extended");
    const { items } = await claimDue(store, key.partition, t0 + 2_000);
    expect(items).toMatchObject([{ kind: "lease", leaseUntil: t0 + 2_000 }]);
    await e.commit({ settle: [{ taskId: "t1", token }], tasks: [handedOff("t2", "1.n.t2")] });
    expect((await store.holdings(key)).tasks).toMatchObject([{ id: "t2", state: "leased" }]);
  });

  withTasks("held tasks can be dropped; timers run on", async (store) => {
    const timers = [{ id: "x", at: t0 + 10 }];
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")], timers } });
    await e.commit({ hold: true });
    expect((await claimDue(store, e.key.partition, t0 + 10)).items).toMatchObject([{ id: "x" }]);
    await e.commit({ dropTasks: ["t1"] });
    await e.commit({ hold: false });
    expect(await claimIds(store, e.key.partition)).toEqual([]);
  });
}
