/** Dumps of all that a store holds, and stores restored from them. */
import { expect } from "bun:test";
import { executionKey } from "../../../src/model/ids.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type {
  DumpedHead,
  ExecutionDump,
  Store,
  StoreEffects,
  Traits,
} from "../../../src/store/store.ts";
import {
  claim,
  claimDue,
  createRequest,
  type Driven,
  effects,
  extend,
  handedOff,
  idsIn,
  newTask,
  partitions,
  release,
  start,
  type Test,
  t0,
} from "./subject.ts";

const day = 86_400_000;
/** When the other store goes on. */
const later = t0 + 400;

export function transferTests(test: Test): void {
  test("an empty store dumps nothing", async (store) => {
    for (let partition = 0; partition < partitions; partition++) {
      expect(await store.dump({ partition, limit: 9 })).toEqual({ pieces: [] });
    }
    expect(await store.documentKinds()).toEqual([]);
  });

  test("documents are restored with their versions", async (store) => {
    const document = { id: "a", version: 7, body: '{"a":1}' };
    await store.restoreDocument({ kind: "workflow", document });
    await store.restoreDocument({ kind: "workflow", document });
    await store.putDocument({ kind: "key", id: "k", body: "1", expectedVersion: 0 });
    await store.putDocument({ kind: "gone", id: "g", body: "1", expectedVersion: 0 });
    await store.deleteDocument({ kind: "gone", id: "g" });
    expect(await store.documentKinds()).toEqual(["key", "workflow"]);
    expect(await store.getDocument({ kind: "workflow", id: "a" })).toEqual(document);
    expect(await store.listDocuments({ kind: "workflow", limit: 9 })).toEqual([document]);
    const next = { kind: "workflow", id: "a", body: "2", expectedVersion: 7 };
    expect(await store.putDocument(next)).toEqual({ outcome: "saved", version: 8 });
  });

  test("a dump says what the memory store would", async (store) => {
    const reference = new MemoryStore({ partitions });
    await fill(store);
    await fill(reference);
    expect(await everything(store)).toEqual(await everything(reference));
  });

  test("a dump goes on after any of its pages", async (store) => {
    await fill(store);
    const { partition } = executionKey("large", partitions);
    const pieces: ExecutionDump[] = [];
    for (let after: string | undefined, pages = 0; ; pages++) {
      const request = { partition, limit: 1, ...(after !== undefined && { after }) };
      const page = await store.dump(request);
      expect(await store.dump(request)).toEqual(page);
      pieces.push(...page.pieces);
      after = page.next;
      if (after === undefined) break;
      expect(pages).toBeLessThan(50);
    }
    const of = pieces.filter(({ id }) => id === "large");
    expect(of.length).toBeGreaterThan(2);
    expect(of.filter(({ first }) => first !== undefined)).toHaveLength(1);
    expect(whole(of)).toEqual((await everything(store)).get("large")!);
  });

  for (const others of [partitions, 1]) {
    test(`a store is restored from a dump of ${others} partitions, interrupted and repeated`, async (store) => {
      const from = new MemoryStore({ partitions: others });
      await fill(from);
      await copy(from, store, { repeats: true });
      const expected = await everything(from);
      expect(await everything(store)).toEqual(expected);
      const again = new MemoryStore({ partitions });
      await copy(store, again);
      expect(await everything(again)).toEqual(expected);
    });
  }

  test("a restored store behaves as the one that was dumped", async (store) => {
    const from = new MemoryStore({ partitions });
    await fill(from);
    await copy(from, store);
    const { traits } = store;
    const [expected, actual] = [await behaviour(from, traits), await behaviour(store, traits)];
    for (const [what, answer] of expected) expect([what, actual.get(what)]).toEqual([what, answer]);
  });

  test("what is added to a restored store comes behind what was there", async (store) => {
    const from = new MemoryStore({ partitions });
    const [first = "", second = ""] = idsIn(0, 2);
    await start(from, first, { effects: { tasks: [newTask("t1")], ...twoMessages } });
    await copy(from, store);
    await start(store, second, { effects: { tasks: [newTask("t2")] }, now: t0 });
    const { tasks } = await claim(store, 0, { now: later });
    expect(tasks.map(({ id }) => id)).toEqual(["t1", "t2"]);
    const key = executionKey(first, partitions);
    const { outcome: _, ...loaded } = (await store.load({ key })) as { head: Driven["head"] } & {
      outcome: string;
    };
    const messages = [{ id: "m3", body: "3" }];
    const request = createRequest(first);
    const commit = {
      ...{ key, expected: loaded.head, commitId: "next", state: "{}", status: "RUNNING" as const },
      ...{ data: new Map(), settle: [], expire: [], consumeTimers: [], now: later },
      effects: { ...request.effects, messages, history: ['"h"'] },
    };
    expect((await store.commit(commit)).outcome).toBe("committed");
    expect((await store.holdings(key)).messages).toEqual(["m1", "m2", "m3"]);
    expect(await store.history({ key, after: 0, limit: 9 })).toEqual(['"h"']);
  });
}

const twoMessages = { messages: ["m1", "m2"].map((id) => ({ id, body: `"${id}"` })) };

async function* pages(store: Store, limit = 3): AsyncIterable<ExecutionDump> {
  for (let partition = 0; partition < store.partitions; partition++) {
    for (let after: string | undefined; ; ) {
      const request = { partition, limit, ...(after !== undefined && { after }) };
      const { pieces, next } = await store.dump(request);
      yield* pieces;
      after = next;
      if (after === undefined) break;
    }
  }
}

async function copy(from: Store, to: Store, { repeats = false } = {}): Promise<void> {
  let pieces: ExecutionDump[] = [];
  for await (const piece of pages(from)) {
    if (piece.first !== undefined) pieces = [];
    pieces.push(piece);
    const key = executionKey(piece.id, to.partitions);
    // One that is interrupted begins anew with the execution.
    for (const one of repeats ? [piece, ...pieces] : [piece]) {
      await to.restore({ key, piece: one, now: later });
    }
  }
}

/** Pieces of one execution as one, without what stores may choose. */
function whole(pieces: readonly ExecutionDump[]) {
  const byName = (a: readonly [string, ...unknown[]], b: readonly [string, ...unknown[]]) =>
    a[0] < b[0] ? -1 : 1;
  return {
    first: withoutRecent(pieces[0]!.first!),
    fields: pieces.flatMap(({ fields }) => fields).sort(byName),
    history: pieces.flatMap(({ history }) => history.items),
    tasks: pieces.flatMap(({ tasks }) => tasks.items),
    timers: pieces
      .flatMap(({ timers }) => timers.map(({ id, at }) => [id, at] as const))
      .sort(byName),
    messages: pieces.flatMap(({ messages }) => messages),
  };
}

/** A store may forget all but the last one. */
function withoutRecent(first: DumpedHead): unknown {
  if (first.kind === "tombstone") return first;
  const { recentCommitIds, ...rest } = first;
  expect(recentCommitIds.at(-1)).toBe(first.head.commitId);
  return rest;
}

async function everything(store: Store) {
  const byId = new Map<string, ExecutionDump[]>();
  for await (const piece of pages(store)) {
    byId.set(piece.id, [...(byId.get(piece.id) ?? []), piece]);
    const { history, tasks } = piece;
    const before = byId.get(piece.id)!.slice(0, -1);
    if (history.items.length > 0)
      expect(history.after).toBe(whole([...before, piece]).history.length - history.items.length);
    if (tasks.items.length > 0)
      expect(tasks.after).toBe(whole([...before, piece]).tasks.length - tasks.items.length);
  }
  return new Map([...byId].map(([id, pieces]) => [id, whole(pieces)]));
}

const key = (store: Store, id: string) => executionKey(id, store.partitions);

/** Executions in every state that a store knows of, with all that they may own. */
async function fill(store: Store): Promise<void> {
  await fillLarge(store);
  await fillQueues(store);
  const ended = await begin(store, "ended", {
    requestHash: "hash",
    data: new Map([["input", '"ü 😀"']]),
    listing: {
      ...{ id: "ended", workflow: "other", version: 3, status: "RUNNING", startedAt: t0 - 5 },
      ...{ correlationId: "c", parent: "p", inline: true },
    },
    effects: { history: ['"a"', '"b"'] },
  });
  await ended.commit({ status: "FAILED", endedAt: t0 + 1, data: new Map([["error", "{}"]]) });
  for (const keepStart of [true, false]) {
    const buried = await begin(store, keepStart ? "kept" : "buried", {
      requestHash: "h".repeat(64),
    });
    await buried.commit({ status: "COMPLETED", endedAt: t0 + 2, tasks: [newTask("t")] });
    const { head: expected, key } = buried;
    const request = { key, expected, tombstoneUntil: t0 + day, keepStart, now: t0 + 3 };
    expect(await store.remove(request)).toBe("removed");
  }
  const sending = await begin(store, "sending", {
    effects: {
      ...twoMessages,
      timers: [
        { id: "x", at: t0 + 10 },
        { id: "y", at: t0 + 900 },
      ],
    },
  });
  const { partition } = sending.key;
  await store.claimOutbox({ partition, claimId: "o", limit: 1, hideMs: 200, now: t0 });
  await claimDue(store, partition, t0 + 20, "d");
  await begin(store, "alone", { effects: { tasks: [handedOff("t", "1.n.t")] } });
}

async function begin(store: Store, id: string, changes: Parameters<typeof start>[2]) {
  const driven = await start(store, id, { ...changes, key: key(store, id) });
  return driven;
}

/** More commits, fields and entries than stores keep in one place, and more than one page holds. */
async function fillLarge(store: Store): Promise<void> {
  const large = await begin(store, "large", { data: new Map([["input", "1"]]) });
  const text = JSON.stringify("x".repeat(600_000));
  for (let i = 0; i < 70; i++) {
    const history = Array.from({ length: 9 }, (_, n) => `"${i}.${n}"`);
    const data = new Map<string, string | null>([[`f${i}`, i % 20 === 0 ? text : `${i}`]]);
    if (i > 60) data.set(`f${i - 5}`, null);
    await large.commit({ data, history, state: `{"i":${i}}` });
  }
}

async function fillQueues(store: Store): Promise<void> {
  const queue = (n: number, changes = {}) => newTask(`t${n}`, { queueTimeoutMs: 500, ...changes });
  for (const [n, id] of ["three", "two", "one"].entries()) {
    const tasks = [
      queue(1),
      queue(2, { priority: 5, header: '{"h":1}', parameters: `"${id}"` }),
      queue(3),
    ];
    const e = await begin(store, id, { now: t0 + 10 * n, effects: { tasks } });
    // Stores count their places in another way for each of these.
    if (id === "two") await e.commit({ hold: true, now: t0 + 100, status: "PAUSED" });
    if (id === "three") {
      await e.commit({
        now: t0 + 1,
        tasks: [queue(4, { parameters: JSON.stringify("p".repeat(3_000)) })],
      });
    }
  }
  const busy = await begin(store, "busy", {
    effects: {
      tasks: [
        handedOff("leased", "1.n.leased"),
        handedOff("dropped", "1.n.dropped"),
        handedOff("released", "1.n.released", { queueTimeoutMs: 700 }),
        newTask("other", { queue: "q/b" }),
      ],
    },
  });
  await busy.commit({ dropTasks: ["dropped"], now: t0 + 5 });
  const lease = { key: busy.key, taskId: "released", token: "1.n.released", now: t0 + 30 };
  expect(await release(store, lease)).toBe("released");
}

/** Answers of many operations, each about something that was restored. */
async function behaviour(store: Store, traits: Traits): Promise<ReadonlyMap<string, unknown>> {
  const answers = new Map<string, unknown>();
  const ids = [
    "large",
    "one",
    "two",
    "three",
    "busy",
    "ended",
    "kept",
    "buried",
    "sending",
    "alone",
  ];
  for (const id of ids) {
    const loaded = await store.load({ key: key(store, id) });
    const { recentCommitIds: _, ...rest } = loaded as { recentCommitIds?: unknown };
    answers.set(`load ${id}`, rest);
    const { tasks, timers, messages } = await store.holdings(key(store, id));
    answers.set(`holdings ${id}`, {
      tasks,
      messages,
      timers: timers.toSorted((a, b) => a.at - b.at),
    });
    const page = { key: key(store, id), after: 64, limit: 600 };
    answers.set(`history ${id}`, await store.history(page));
    answers.set(
      `create ${id}`,
      await store.create({
        ...createRequest(id),
        commitId: "another",
        requestHash: "h",
        now: later,
      }),
    );
    answers.set(`repeated create ${id}`, await store.create({ ...createRequest(id), now: later }));
  }
  for (let partition = 0; partition < partitions; partition++) {
    const noted = await behaviourOf(store, partition, traits);
    for (const [what, answer] of noted) answers.set(`${what} ${partition}`, answer);
  }
  await endings(store, answers);
  return answers;
}

async function behaviourOf(store: Store, partition: number, traits: Traits) {
  const noted = new Map<string, unknown>();
  const note = (what: string, answer: unknown) => noted.set(what, answer);
  for (const filter of [
    ...[{}, { workflow: "other" }, { status: "FAILED" as const }, { correlationId: "c" }],
    ...[{ parent: "p" }, { workflow: "other", status: "FAILED" as const }],
  ]) {
    const { items } = await store.list({ partition, limit: 20, ...filter });
    note(`list ${JSON.stringify(filter)}`, items);
  }
  const stats = await store.queueStats({ partition });
  note("stats", traits.countsExact ? stats : stats.map(({ queue, queued }) => [queue, queued]));
  note("hints", await store.queueHints({ partition }));
  const due = await claimDue(store, partition, t0 + 15_000, "later");
  note("due", due.items.map((item) => JSON.stringify(item)).sort());
  const queues = [{ name: "q/a", limit: 100 }];
  const { tasks, more } = await claim(store, partition, { queues, tokenPrefix: "2.n", now: later });
  const isStrict = traits.claimOrder === "strict";
  note("claim", isStrict ? tasks : tasks.toSorted((a, b) => (a.token < b.token ? -1 : 1)));
  note("more", more);
  const outbox = { partition, claimId: "later", limit: 9, hideMs: 10, now: later };
  note("outbox", (await store.claimOutbox(outbox)).messages);
  return noted;
}

/** Leases that were given before: extended, released, settled, expired; what is held goes on. */
async function endings(store: Store, answers: Map<string, unknown>): Promise<void> {
  const busy = key(store, "busy");
  const lease = (taskId: string) => ({
    ...{ key: busy, taskId, token: `1.n.${taskId}`, until: t0 + 3_000, now: later },
  });
  for (const task of ["leased", "dropped", "released", "other"]) {
    answers.set(`extend ${task}`, await extend(store, lease(task)));
  }
  const changes: readonly (readonly [string, object])[] = [
    ["busy", { settle: [{ taskId: "leased", token: "1.n.leased" }] }],
    ["alone", { expire: [{ taskId: "t", token: "1.n.t", until: t0 + 1_000 }] }],
    ["two", { hold: false }],
    ["sending", { dropTimers: ["x"] }],
    ["large", { history: ['"last"'], data: new Map([["f3", null]]) }],
  ];
  for (const [id, change] of changes) {
    const of = key(store, id);
    const loaded = await store.load({ key: of });
    if (loaded.outcome !== "loaded") throw new Error(`${id}: ${loaded.outcome}`);
    const { history = [], dropTimers = [], ...more } = change as Partial<StoreEffects>;
    const commit = {
      ...{ key: of, expected: loaded.head, commitId: `${id}-next`, state: "{}" },
      ...{ status: "RUNNING" as const, data: new Map(), settle: [], expire: [], consumeTimers: [] },
      ...{ effects: effects({ history, dropTimers }), now: later, ...more },
    };
    answers.set(`commit ${id}`, await store.commit(commit));
    answers.set(`commit ${id} again`, await store.commit(commit));
    answers.set(`history of ${id}`, await store.history({ key: of, after: 600, limit: 100 }));
    answers.set(`holdings of ${id}`, (await store.holdings(of)).tasks);
  }
}
