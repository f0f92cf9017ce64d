/** One task by its ticket: claimed, or settled by a commit without a lease. */
import { expect } from "bun:test";
import { claimIds, extend, handedOff, newTask, release, start, type Test, t0 } from "./subject.ts";

const worker = { tokenPrefix: "1.n", workerId: "w1", heartbeatMs: 1_000, now: t0 };
const unknown = { outcome: "unknown" as const };

export function ticketTests(test: Test): void {
  claimTests(test);
  readTests(test);
  offeredTests(test);
}

function claimTests(test: Test): void {
  test("one task is claimed by its ticket, and a repeat finds it", async (store) => {
    const tasks = [newTask("t1"), newTask("t2")];
    const { key } = await start(store, "e1", { effects: { tasks } });
    const claimed = await store.claimTask({ key, taskId: "t2", ...worker });
    const task = { id: "t2", token: "1.n.t2", leaseUntil: t0 + 1_000 };
    expect(claimed).toMatchObject({ outcome: "claimed", task });
    const repeated = await store.claimTask({ key, taskId: "t2", ...worker, now: t0 + 5 });
    expect(repeated).toEqual(claimed);
    expect(await claimIds(store, key.partition, { tokenPrefix: "1.z" })).toEqual(["t1"]);
  });

  test("a ticket does not bring a released lease back to life", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    await store.claimTask({ key, taskId: "t1", ...worker });
    await release(store, { key, taskId: "t1", token: "1.n.t1", now: t0 });
    expect(await store.claimTask({ key, taskId: "t1", ...worker })).toEqual(unknown);
    const other = await store.claimTask({ key, taskId: "t1", ...worker, tokenPrefix: "1.m" });
    expect(other).toMatchObject({ outcome: "claimed", task: { token: "1.m.t1" } });
  });

  test("a ticket for what is leased by others, ended, dropped or unknown says so", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    const { key } = e;
    expect(await store.claimTask({ key, taskId: "t9", ...worker })).toEqual(unknown);
    await store.claimTask({ key, taskId: "t1", ...worker });
    const other = { ...worker, tokenPrefix: "1.other" };
    const leased = { outcome: "leased" as const, leaseUntil: t0 + 1_000 };
    expect(await store.claimTask({ key, taskId: "t1", ...other })).toEqual(leased);
    // Nobody has expired it yet.
    const later = { ...other, now: t0 + 2_000 };
    expect(await store.claimTask({ key, taskId: "t1", ...later })).toEqual(leased);
    await e.commit({ settle: [{ taskId: "t1", token: "1.n.t1" }] });
    expect(await store.claimTask({ key, taskId: "t1", ...worker })).toEqual(unknown);
    await store.claimTask({ key, taskId: "t2", ...worker });
    await e.commit({ dropTasks: ["t2"] });
    expect(await store.claimTask({ key, taskId: "t2", ...other })).toEqual(unknown);
    const nobody = { partition: 0, id: "nobody" };
    expect(await store.claimTask({ key: nobody, taskId: "t1", ...worker })).toEqual(unknown);
  });

  test("a ticket of a removed execution is unknown", async (store) => {
    const e = await start(store, "e1");
    const tasks = Array.from({ length: 501 }, (_, i) => newTask(`t${i}`));
    await e.commitAll(tasks, (some) => ({ tasks: some }));
    const { key, head: expected } = e;
    await store.remove({ key, expected, tombstoneUntil: t0 + 10, now: t0 });
    for (const taskId of ["t0", "t500"]) {
      expect(await store.claimTask({ key, taskId, ...worker })).toEqual(unknown);
      expect(await store.readTask({ key, taskId })).toBeUndefined();
    }
  });

  test("a ticket of a held execution is held, unless it is leased", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    const { key } = e;
    await store.claimTask({ key, taskId: "t2", ...worker });
    await e.commit({ hold: true });
    const other = { ...worker, tokenPrefix: "1.other" };
    expect(await store.claimTask({ key, taskId: "t1", ...other })).toEqual({ outcome: "held" });
    const leased = { outcome: "leased" as const, leaseUntil: t0 + 1_000 };
    expect(await store.claimTask({ key, taskId: "t2", ...other })).toEqual(leased);
    expect((await store.claimTask({ key, taskId: "t2", ...worker })).outcome).toBe("claimed");
    await release(store, { key, taskId: "t2", token: "1.n.t2", now: t0 });
    expect(await store.claimTask({ key, taskId: "t2", ...worker })).toEqual(unknown);
    expect(await store.claimTask({ key, taskId: "t2", ...other })).toEqual({ outcome: "held" });
  });
}

function readTests(test: Test): void {
  test("a task is read as it is, and nothing changes of it", async (store) => {
    const parameters = JSON.stringify("x".repeat(3_000));
    const changes = { queueTimeoutMs: 700, timeoutMs: 5_000, parameters };
    const tasks = [newTask("t1", changes), handedOff("t2", "1.n.t2")];
    const e = await start(store, "e1", { effects: { tasks } });
    const read = (taskId: string) => store.readTask({ key: e.key, taskId });
    const t1 = { queue: "q/a", timeoutMs: 5_000, header: '{"task":"t1"}', parameters };
    const queued = { ...t1, state: "queued" as const };
    expect(await read("t1")).toEqual({ ...queued, until: t0 + 700 });
    expect(await read("t2")).toMatchObject({ state: "leased", until: t0 + 1_000 });
    await e.commit({ hold: true });
    expect(await read("t1")).toEqual(queued);
    await e.commit({ hold: false });
    await store.claimTask({ key: e.key, taskId: "t1", ...worker });
    expect(await read("t1")).toEqual({ ...t1, state: "leased", until: t0 + 1_000 });
    await e.commit({ dropTasks: ["t1"], settle: [{ taskId: "t2", token: "1.n.t2" }] });
    for (const id of ["t1", "t2", "t3"]) expect(await read(id)).toBeUndefined();
    const nobody = { partition: 0, id: "nobody" };
    expect(await store.readTask({ key: nobody, taskId: "t1" })).toBeUndefined();
  });

  test("a lone task is read", async (store) => {
    const { key } = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    const read = await store.readTask({ key, taskId: "t1" });
    expect(read).toMatchObject({ state: "leased", until: t0 + 1_000, parameters: "{}" });
    const held = { key, taskId: "t1", token: "1.n.t1", until: t0 + 2_000, now: t0 };
    expect(await extend(store, held)).toEqual({ outcome: "extended", leaseUntil: t0 + 2_000 });
  });
}

function offeredTests(test: Test): void {
  const settle = [{ taskId: "t1", token: null }];
  const stale = { outcome: "stale" as const, tasks: ["t1"], timers: [] };

  test("a commit settles a task on offer without a lease, once", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    await e.commit({ settle });
    const left = (await store.holdings(e.key)).tasks.map(({ id }) => id);
    expect(left).toEqual(["t2"]);
    expect(await store.claimTask({ key: e.key, taskId: "t1", ...worker })).toEqual(unknown);
    expect(await e.try({ settle })).toEqual(stale);
    expect(await claimIds(store, e.key.partition)).toEqual(["t2"]);
  });

  test("of two commits that settle the task on offer, one comes through", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    const requests = ["a", "b", "c"].map((commitId) => ({ ...e.request({ settle }), commitId }));
    const answers = await Promise.all(requests.map((request) => store.commit(request)));
    const outcomes = answers.map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual(["committed", "conflict", "conflict"]);
    const again = await store.commit(
      requests[answers.findIndex((a) => a.outcome === "committed")]!,
    );
    expect(again.outcome).toBe("already_committed");
  });

  test("a commit settles no leased task without its token, and no held one", async (store) => {
    const lone = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    expect(await lone.try({ settle })).toEqual(stale);
    const e = await start(store, "e2", { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    await store.claimTask({ key: e.key, taskId: "t1", ...worker });
    expect(await e.try({ settle })).toEqual(stale);
    await release(store, { key: e.key, taskId: "t1", token: "1.n.t1", now: t0 });
    await e.commit({ hold: true });
    // What counts is whether it is held before the commit.
    expect(await e.try({ settle })).toEqual(stale);
    expect(await e.try({ settle, hold: false })).toEqual(stale);
    const both = [...settle, { taskId: "t2", token: null }];
    expect(await e.try({ settle: both })).toEqual({ ...stale, tasks: ["t1", "t2"] });
    await e.commit({ hold: false });
    await e.commit({ settle: both, hold: true });
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });

  test("a commit settles a leased task and one on offer, or neither", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    await store.claimTask({ key: e.key, taskId: "t2", ...worker });
    const wrong = [...settle, { taskId: "t2", token: "1.x.t2" }];
    expect(await e.try({ settle: wrong })).toEqual({ ...stale, tasks: ["t2"] });
    await e.commit({ settle: [...settle, { taskId: "t2", token: "1.n.t2" }] });
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });
}
