/** Create, load, commit: heads, repeats, data, history. */
import { expect } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import {
  claim,
  claimDue,
  claimIds,
  createRequest,
  Driven,
  effects,
  handedOff,
  listedBy,
  newTask,
  partitions,
  start,
  type Test,
  t0,
} from "./subject.ts";

export function executionTests(test: Test): void {
  creationTests(test);
  commitTests(test);
  dataTests(test);
  atomicityTests(test);
}

function creationTests(test: Test): void {
  test("a new execution loads as it was created", async (store) => {
    const data = new Map([["input", '{"a":1}']]);
    const e = await start(store, "e1", { state: '{"s":1}', data, commitId: "made" });
    expect(e.head).toEqual({ revision: 1, commitId: "made" });
    expect(await store.load({ key: e.key })).toEqual({
      outcome: "loaded",
      head: e.head,
      recentCommitIds: ["made"],
      status: "RUNNING",
      held: false,
      state: '{"s":1}',
      data,
    });
  });

  test("what was never created is not found", async (store) => {
    const key = executionKey("nobody", partitions);
    expect(await store.load({ key })).toEqual({ outcome: "not_found" });
    const nobody = new Driven(store, key, { revision: 1, commitId: "x" });
    expect(await nobody.try()).toEqual({ outcome: "not_found" });
    expect(await store.history({ key, after: 0, limit: 10 })).toEqual([]);
    expect(await store.holdings(key)).toEqual({ tasks: [], timers: [], messages: [] });
  });

  test("a repeated create answers as the first did, even after commits", async (store) => {
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    const created = { outcome: "created" as const, head: { revision: 1, commitId: "e1-0" } };
    expect(await store.create(createRequest("e1"))).toEqual(created);
    await e.commit({ dropTasks: ["t1"] });
    expect(await store.create(createRequest("e1"))).toEqual(created);
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });

  test("another create of the same id hears what exists, and changes nothing", async (store) => {
    const e = await start(store, "e1", { requestHash: "hash-1", state: '"first"' });
    await e.commit({ status: "COMPLETED", endedAt: t0 + 5, state: '"second"' });
    const other = createRequest("e1", { commitId: "other", requestHash: "hash-2" });
    expect(await store.create({ ...other, effects: effects({ tasks: [newTask("t9")] }) })).toEqual({
      outcome: "exists",
      head: e.head,
      status: "COMPLETED",
      requestHash: "hash-1",
    });
    expect(await store.load({ key: e.key })).toMatchObject({ state: '"second"' });
    expect((await store.holdings(e.key)).tasks).toEqual([]);
  });

  test("exists names no request hash when none was stored", async (store) => {
    await start(store, "e1");
    const answer = await store.create(createRequest("e1", { commitId: "other", requestHash: "h" }));
    expect(answer.outcome).toBe("exists");
    expect("requestHash" in answer).toBe(false);
  });

  test("a create carries tasks, timers, messages and history", async (store) => {
    const e = await start(store, "e1", {
      effects: {
        tasks: [newTask("t1")],
        timers: [{ id: "x", at: t0 + 9 }],
        messages: [{ id: "m1", body: "{}" }],
        history: ['"a"', '"b"'],
      },
    });
    expect(await store.holdings(e.key)).toEqual({
      tasks: [{ id: "t1", queue: "q/a", state: "queued" }],
      timers: [{ id: "x", at: t0 + 9 }],
      messages: ["m1"],
    });
    expect(await store.history({ key: e.key, after: 0, limit: 10 })).toEqual(['"a"', '"b"']);
  });
}

function commitTests(test: Test): void {
  test("a commit moves the head by one and replaces state and status", async (store) => {
    const e = await start(store, "e1");
    expect(await e.try({ commitId: "c2", state: '"b"', status: "PAUSED" })).toEqual({
      outcome: "committed",
      head: { revision: 2, commitId: "c2" },
    });
    expect(await store.load({ key: e.key })).toMatchObject({ state: '"b"', status: "PAUSED" });
  });

  test("another head conflicts: by revision, or by commit id alone", async (store) => {
    const e = await start(store, "e1");
    const wrong = [
      { revision: 2, commitId: "e1-0" },
      { revision: 0, commitId: "e1-0" },
      { revision: 1, commitId: "other" },
    ];
    for (const expected of wrong) {
      const answer = await e.try({ expected, state: '"lost"' });
      expect(answer).toEqual({ outcome: "conflict", head: e.head });
    }
    expect(await store.load({ key: e.key })).toMatchObject({ state: "{}", head: e.head });
  });

  test("a repeated commit is already committed, however it looks, and is not applied", async (store) => {
    const e = await start(store, "e1");
    const first = e.request({ history: ['"once"'], tasks: [newTask("t1")] });
    const { head } = (await store.commit(first)) as { head: typeof e.head };
    expect(await store.commit(first)).toEqual({ outcome: "already_committed", head });
    e.head = head;
    await e.commit();
    expect(await store.commit(first)).toEqual({ outcome: "already_committed", head: e.head });
    expect(await store.history({ key: e.key, after: 0, limit: 10 })).toEqual(['"once"']);
  });

  test("the commit id of the creation counts as committed", async (store) => {
    const e = await start(store, "e1");
    expect((await e.try({ commitId: "e1-0" })).outcome).toBe("already_committed");
  });

  test("the last commit ids are kept, and no more", async (store) => {
    const e = await start(store, "e1", { commitId: "c0" });
    for (let i = 1; i <= limits.commitIdsKept; i++) await e.commit({ commitId: `c${i}` });
    const loaded = await store.load({ key: e.key });
    if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
    const kept = Array.from({ length: limits.commitIdsKept }, (_, i) => `c${i + 1}`);
    expect(loaded.recentCommitIds).toEqual(kept);
    expect((await e.try({ commitId: "c1" })).outcome).toBe("already_committed");
    const forgotten = { commitId: "c0", expected: { revision: 1, commitId: "c0" } };
    expect((await e.try(forgotten)).outcome).toBe("conflict");
  });

  test("two commits upon one head: one is committed, the other conflicts", async (store) => {
    const e = await start(store, "e1");
    const requests = [e.request({ state: '"a"' }), e.request({ state: '"b"' })];
    const answers = await Promise.all(requests.map((request) => store.commit(request)));
    expect(answers.map((answer) => answer.outcome).sort()).toEqual(["committed", "conflict"]);
  });
}

function dataTests(test: Test): void {
  const withDocumentsTasks = test.also("documents", "tasks");
  const withTasks = test.also("tasks");
  const withOutboxTasks = test.also("outbox", "tasks");
  test("fields are written one by one; null deletes", async (store) => {
    const e = await start(store, "e1", {
      data: new Map([
        ["a", "1"],
        ["b", "2"],
      ]),
    });
    await e.commit({
      data: new Map([
        ["b", null],
        ["c", "3"],
        ["gone", null],
      ]),
    });
    await e.commit({ data: new Map([["a", "4"]]) });
    const loaded = await store.load({ key: e.key });
    expect(loaded).toMatchObject({
      data: new Map([
        ["a", "4"],
        ["c", "3"],
      ]),
    });
  });

  test("load answers only the fields that were asked for", async (store) => {
    const e = await start(store, "e1", {
      data: new Map([
        ["a", "1"],
        ["b", "2"],
      ]),
    });
    const some = await store.load({ key: e.key, fields: ["b", "nothing"] });
    expect(some).toMatchObject({ data: new Map([["b", "2"]]) });
    const none = await store.load({ key: e.key, fields: [] });
    expect(none).toMatchObject({ state: "{}", data: new Map() });
  });

  withOutboxTasks("text is kept byte for byte", async (store) => {
    const texts = [
      "[]",
      "{}",
      '{"n":12345678901234567890.10}',
      '"ü 漢 😀 \\u0000"',
      " [ 1 ,2 ] ",
      "null",
    ];
    const data = new Map(texts.map((text, i) => [`f${i}`, text]));
    const e = await start(store, "e1", { state: texts[2] as string, data });
    for (const text of texts) {
      await e.commit({
        state: text,
        history: [text],
        messages: [{ id: text, body: text }],
        tasks: [newTask(text, { header: text, parameters: text })],
      });
      expect(await store.load({ key: e.key })).toMatchObject({ state: text, data });
    }
    expect(await store.history({ key: e.key, after: 0, limit: 10 })).toEqual(texts);
    const { partition } = e.key;
    const claim = { partition, claimId: "c1", limit: 10, hideMs: 10, now: t0 };
    const { messages } = await store.claimOutbox(claim);
    expect(messages.map((message) => [message.id, message.body])).toEqual(texts.map((t) => [t, t]));
    const { tasks } = await store.claimTasks({
      partition,
      queues: [{ name: "q/a", limit: 10 }],
      limit: 10,
      tokenPrefix: "1.n",
      workerId: "w1",
      heartbeatMs: 0,
      now: t0,
    });
    expect(tasks.map((task) => [task.header, task.parameters])).toEqual(texts.map((t) => [t, t]));
  });

  withTasks("a payload of the largest size comes back whole", async (store) => {
    const large = JSON.stringify("ü".repeat(limits.payloadBytesMax / 2 - 1));
    const e = await start(store, "e1", {
      data: new Map([["input", large]]),
      effects: { tasks: [newTask("t1", { parameters: large })] },
    });
    const loaded = await store.load({ key: e.key });
    expect(loaded.outcome === "loaded" && loaded.data.get("input") === large).toBe(true);
    const request = { tokenPrefix: "1.n", workerId: "w", heartbeatMs: 0, now: t0 };
    const claimed = await store.claimTask({ key: e.key, taskId: "t1", ...request });
    expect(claimed.outcome === "claimed" && claimed.task.parameters === large).toBe(true);
  });

  withDocumentsTasks(
    "names that mean something to JavaScript are names like others",
    async (store) => {
      for (const name of ["__proto__", "constructor", "toString"]) {
        const e = await start(store, name, {
          data: new Map([[name, '"value"']]),
          effects: {
            tasks: [newTask(name, { queue: name })],
            timers: [{ id: name, at: t0 }],
            messages: [{ id: name, body: "{}" }],
          },
        });
        const loaded = await store.load({ key: e.key, fields: [name] });
        expect(loaded).toMatchObject({ data: new Map([[name, '"value"']]) });
        expect(await store.holdings(e.key)).toEqual({
          tasks: [{ id: name, queue: name, state: "queued" }],
          timers: [{ id: name, at: t0 }],
          messages: [name],
        });
        const stats = await store.queueStats({ partition: e.key.partition, queue: name });
        const expected = [{ queue: name, queued: 1, leased: 0, oldestAt: t0 }];
        expect(stats).toEqual(listedBy(store, expected));
        const put = { kind: name, id: name, body: "1", expectedVersion: 0 };
        expect(await store.getDocument(put)).toBeUndefined();
        expect(await store.putDocument(put)).toEqual({ outcome: "saved", version: 1 });
      }
    },
  );

  test("a long life keeps its history in order, and its latest commit ids", async (store) => {
    const e = await start(store, "e1", { effects: { history: ["0"] } });
    for (let i = 1; i < 100; i++) {
      await e.commit({ commitId: `c${i}`, history: i % 3 === 0 ? [] : [`${i}`, `${i}.5`] });
    }
    const entries = ["0"];
    for (let i = 1; i < 100; i++) if (i % 3 !== 0) entries.push(`${i}`, `${i}.5`);
    const { key } = e;
    for (const after of [0, 7, 80, 83, 84, 85, 100, 130, 132, 133]) {
      expect(await store.history({ key, after, limit: 20 })).toEqual(
        entries.slice(after, after + 20),
      );
    }
    const loaded = await store.load({ key, fields: [] });
    const latest = Array.from({ length: limits.commitIdsKept }, (_, i) => `c${84 + i}`);
    expect(loaded).toMatchObject({ recentCommitIds: latest, head: { revision: 100 } });
    expect((await e.try({ commitId: "c84" })).outcome).toBe("already_committed");
    expect((await e.try({ commitId: "c83" })).outcome).toBe("committed");
  });

  test("history counts from one and is read in pieces", async (store) => {
    const e = await start(store, "e1", { effects: { history: ["1", "2"] } });
    await e.commit({ history: ["3"] });
    await e.commit({ history: ["4", "5"] });
    const { key } = e;
    expect(await store.history({ key, after: 0, limit: 100 })).toEqual(["1", "2", "3", "4", "5"]);
    expect(await store.history({ key, after: 2, limit: 2 })).toEqual(["3", "4"]);
    expect(await store.history({ key, after: 5, limit: 2 })).toEqual([]);
  });

  test("two executions keep apart what they own", async (store) => {
    const a = await start(store, "a", {
      data: new Map([["f", '"a"']]),
      effects: { history: ['"a"'] },
    });
    const b = await start(store, "b", {
      data: new Map([["f", '"b"']]),
      effects: { history: ['"b"'] },
    });
    await a.commit({ data: new Map([["f", null]]), history: ['"a2"'] });
    expect(await store.load({ key: b.key })).toMatchObject({ data: new Map([["f", '"b"']]) });
    expect(await store.history({ key: b.key, after: 0, limit: 9 })).toEqual(['"b"']);
  });
}

function atomicityTests(test: Test): void {
  const withTasks = test.also("tasks");
  const withDueTasks = test.also("due", "tasks");
  const withLists = test.also("lists");
  withLists("a stale commit writes nothing at all", async (store) => {
    const e = await start(store, "e1", {
      data: new Map([["f", "1"]]),
      effects: { tasks: [newTask("t1")], timers: [{ id: "x", at: t0 + 1 }], history: ["1"] },
    });
    const before = [await store.load({ key: e.key }), await store.holdings(e.key)];
    const answer = await e.try({
      settle: [{ taskId: "t1", token: "wrong" }],
      hold: true,
      state: '"lost"',
      data: new Map([["f", null]]),
      tasks: [newTask("t2")],
      dropTasks: ["t1"],
      timers: [{ id: "y", at: t0 }],
      dropTimers: ["x"],
      messages: [{ id: "m", body: "1" }],
      history: ["2"],
      status: "FAILED",
      endedAt: t0,
    });
    expect(answer).toEqual({ outcome: "stale", tasks: ["t1"], timers: [] });
    expect([await store.load({ key: e.key }), await store.holdings(e.key)]).toEqual(before);
    expect(await store.history({ key: e.key, after: 0, limit: 9 })).toEqual(["1"]);
    const { partition } = e.key;
    const listed = (await store.list({ partition, status: "FAILED", limit: 9 })).items;
    expect(listed).toEqual([]);
  });

  withDueTasks("everything that is stale is named, and what was right is kept", async (store) => {
    const e = await start(store, "e1", {
      effects: { tasks: [newTask("t1"), newTask("t2")], timers: [{ id: "x", at: t0 }] },
    });
    const token = "1.n.t1";
    const who = { tokenPrefix: "1.n", workerId: "w1", heartbeatMs: 0, now: t0 };
    await store.claimTask({ key: e.key, taskId: "t1", ...who });
    await claimDue(store, e.key.partition, t0);
    const answer = await e.try({
      settle: [
        { taskId: "t1", token },
        { taskId: "t2", token },
        { taskId: "t3", token },
      ],
      expire: [{ taskId: "t4", token: null, until: t0 }],
      consumeTimers: [
        { id: "x", claimId: "c1" },
        { id: "y", claimId: "c1" },
        { id: "x", claimId: "c0" },
      ],
    });
    expect(answer).toEqual({ outcome: "stale", tasks: ["t2", "t3", "t4"], timers: ["y", "x"] });
    const { tasks, timers } = await store.holdings(e.key);
    expect(tasks.map((task) => task.id)).toEqual(["t1", "t2"]);
    expect(timers.map((timer) => timer.id)).toEqual(["x"]);
  });

  test("the head is checked before the tasks, a recent commit id before the head", async (store) => {
    const e = await start(store, "e1");
    const wrong = {
      expected: { revision: 9, commitId: "no" },
      settle: [{ taskId: "t", token: "t" }],
    };
    expect((await e.try({ ...wrong })).outcome).toBe("conflict");
    expect((await e.try({ ...wrong, commitId: "e1-0" })).outcome).toBe("already_committed");
  });

  test("fields and history grow over many commits, small pieces and large ones", async (store) => {
    const e = await start(store, "e1", { data: new Map([["input", '"in"']]), effects: {} });
    const data = new Map([["input", '"in"']]);
    const history: string[] = [];
    const piece = (step: number) => `"${step} ü€😀 ${"x".repeat((step * 7919) % 700)}"`;
    for (let step = 0; step < 60; step++) {
      const changed = new Map<string, string | null>([[`f${step % 7}`, piece(step)]]);
      if (step % 5 === 0) changed.set("input", piece(step + 1));
      if (step % 11 === 3) changed.set("f2", null);
      if (step % 13 === 6) changed.set("large", `"${"y".repeat(9_000 + step)}"`);
      const entries = Array.from({ length: step % 3 }, (_, i) => `[${step},${i},"h: 1,2:x"]`);
      await e.commit({ data: changed, history: entries });
      for (const [name, value] of changed)
        value === null ? data.delete(name) : data.set(name, value);
      history.push(...entries);
      if (step % 4 > 0) continue;
      const all = await store.load({ key: e.key });
      expect(all.outcome === "loaded" && new Map([...all.data].sort())).toEqual(
        new Map([...data].sort()),
      );
      const some = await store.load({ key: e.key, fields: ["f2", "large", "none"] });
      const wanted = [...data].filter(([name]) => name === "f2" || name === "large").sort();
      expect(some.outcome === "loaded" && [...some.data].sort()).toEqual(wanted);
      for (const after of [0, 7, history.length - 2, history.length]) {
        const page = await store.history({ key: e.key, after: Math.max(0, after), limit: 5 });
        expect(page).toEqual(history.slice(Math.max(0, after)).slice(0, 5));
      }
    }
    expect(await store.history({ key: e.key, after: 0, limit: 1_000 })).toEqual(history);
  });

  withTasks(
    "thousands of fields are created at once, and removed; a long history is read",
    async (store) => {
      const names = Array.from({ length: 9_000 }, (_, i) => `f${i}`);
      const tasks = [handedOff("t1", "1.n.t1"), newTask("t2")];
      const data = new Map(names.map((name) => [name, "1"]));
      const e = await start(store, "e1", { data, effects: { tasks } });
      await e.commit({
        settle: [{ taskId: "t1", token: "1.n.t1" }],
        tasks: [newTask("t3"), newTask("t4")],
        data: new Map(names.slice(0, 80).map((name) => [name, null])),
      });
      await e.commitAll(names, (some) => ({ data: new Map(some.map((name) => [name, null])) }));
      const loaded = await store.load({ key: e.key });
      expect(loaded.outcome === "loaded" && loaded.data.size).toBe(0);
      const entries = names.slice(0, 1_000);
      await e.commitAll(entries, (history) => ({ history }));
      expect(await store.history({ key: e.key, after: 0, limit: 9_001 })).toEqual(entries);
      expect((await claimIds(store, e.key.partition)).sort()).toEqual(["t2", "t3", "t4"]);
    },
  );

  withTasks("a large task is replaced by a commit of many fields", async (store) => {
    const parameters = JSON.stringify("x".repeat(3_000));
    const large = (id: string) => newTask(id, { parameters });
    const e = await start(store, "e1", { effects: { tasks: [large("t0")] } });
    const data = new Map(Array.from({ length: 50 }, (_, i) => [`f${i}`, "1"]));
    const ids = Array.from({ length: 40 }, (_, i) => `t${i}`);
    await e.commit({ data, tasks: ids.map(large) });
    const { tasks } = await claim(store, e.key.partition);
    expect(tasks.map((task) => task.id).sort()).toEqual([...ids].sort());
    for (const task of tasks) expect(task.parameters).toBe(parameters);
  });

  withLists("the status of an end can be taken back by a later commit", async (store) => {
    const e = await start(store, "e1");
    const { partition } = e.key;
    const all = { partition, limit: 9 };
    await e.commit({ status: "FAILED", endedAt: t0 + 7 });
    expect((await store.list(all)).items).toMatchObject([{ status: "FAILED", endedAt: t0 + 7 }]);
    await e.commit({ status: "FAILED", endedAt: t0 + 8 });
    expect((await store.list(all)).items).toMatchObject([{ status: "FAILED", endedAt: t0 + 8 }]);
    await e.commit({ status: "RUNNING" });
    const [listing] = (await store.list(all)).items;
    expect(listing?.status).toBe("RUNNING");
    expect(listing !== undefined && "endedAt" in listing).toBe(false);
  });
}
