/**
 * One turn through every script before the first request: a server that cannot run one of them (no
 * permission, no MessagePack, a proxy that alters things) is found at start, not at three in the
 * morning. Nothing of it is left behind; what a server leaves that dies in the middle of it, the next
 * probe clears away.
 */
import type { Ids } from "../../base/clock.ts";
import type { ClaimTaskRequest, Store, StoreEffects } from "../store.ts";

const none: StoreEffects = {
  tasks: [],
  dropTasks: [],
  timers: [],
  dropTimers: [],
  messages: [],
  history: [],
};

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`The probe of Redis failed: ${what}.`);
}

async function leaseOf(store: Store, request: ClaimTaskRequest): Promise<string> {
  const claimed = await store.claimTask(request);
  expect(claimed.outcome === "claimed", "it did not lease a task");
  return claimed.outcome === "claimed" ? claimed.task.token : "";
}

async function probeTask(store: Store, partition: number, name: string, now: number) {
  const key = { partition, id: name };
  const task = {
    id: `${name}:1:1:probe`,
    queue: `probe/${name}`,
    priority: 0,
    timeoutMs: 1_000,
    heartbeatMs: 0,
    queueTimeoutMs: 0,
    header: "{}",
    parameters: "[]",
  };
  // Ended from the start: no sweeper takes it for an execution that needs something.
  const listing = { id: name, workflow: name, version: 1, status: "COMPLETED", startedAt: now };
  const created = await store.create({
    key,
    commitId: `${name}-1`,
    state: "{}",
    data: new Map([["input", "[]"]]),
    now,
    listing: listing as Parameters<Store["create"]>[0]["listing"],
    effects: { ...none, tasks: [task], history: ["{}"] },
  });
  expect(created.outcome === "created", "it did not create an execution");
  const loaded = await store.load({ key });
  expect(loaded.outcome === "loaded" && loaded.data.get("input") === "[]", "it did not keep text");
  expect((await store.history({ key, after: 0, limit: 1 })).length === 1, "it lost the history");
  const listed = await store.list({ partition, workflow: name, limit: 1 });
  expect(listed.items.length === 1, "it lists nothing");
  await store.indexExecutions?.({ partition, limit: 1 });
  expect((await store.queueHints({ partition })).includes(task.queue), "it hints nothing");
  expect((await store.queueStats({ partition, queue: task.queue })).length === 1, "no statistics");
  const worker = { tokenPrefix: name, workerId: name, heartbeatMs: 0, now };
  await store.claimTasks({
    ...worker,
    partition,
    queues: [{ name: task.queue, limit: 0 }],
    limit: 0,
  });
  const token = await leaseOf(store, { key, taskId: task.id, ...worker });
  const held = { key, taskId: task.id, token };
  expect((await store.readTask(held))?.parameters === task.parameters, "it lost a task");
  const [extended] = await store.extendLeases({
    partition,
    leases: [{ ...held, until: now + 500 }],
    now,
  });
  expect(extended?.outcome === "extended", "it did not extend a lease");
  await store.releaseTasks({ partition, tasks: [held], now });
  const again = { key, taskId: task.id, ...worker, tokenPrefix: `${name}-2` };
  const settle = [{ taskId: task.id, token: await leaseOf(store, again) }];
  // Claims nothing: what is due in this partition is for servers that have started.
  await store.claimDue({ partition, claimId: name, limit: 0, hideMs: 0, now });
  await store.listTimers?.({ partition, limit: 1 });
  await store.claimOutbox({ partition, claimId: name, limit: 0, hideMs: 0, now });
  await store.ackOutbox({ partition, messages: [{ key, id: name }] });
  const committed = await store.commit({
    key,
    expected: { revision: 1, commitId: `${name}-1` },
    commitId: `${name}-2`,
    state: "{}",
    status: "COMPLETED",
    data: new Map(),
    settle,
    expire: [],
    consumeTimers: [],
    effects: none,
    now,
  });
  expect(committed.outcome === "committed", `a commit was answered ${committed.outcome}`);
  expect((await store.holdings(key)).tasks.length === 0, "a settled task is still there");
  const expected = { revision: 2, commitId: `${name}-2` };
  const removed = await store.remove({ key, expected, tombstoneUntil: now, now });
  expect(removed === "removed", `a removal was answered ${removed}`);
}

async function probeDocuments(store: Store, name: string, now: number): Promise<void> {
  const document = { kind: "probe", id: name };
  const saved = await store.putDocument({ ...document, body: "[]", expectedVersion: 0 });
  expect(saved.outcome === "saved", "it did not save a document");
  expect((await store.getDocument(document))?.body === "[]", "it did not keep a document");
  const listed = await store.listDocuments({ kind: "probe", prefix: name, limit: 1 });
  expect(listed.length === 1, "it lists no documents");
  await store.deleteDocument(document);
  await store.beatServer({ id: name, body: "{}", now, ttlMs: 0 });
  await store.listServers({ now });
  await store.leaveServer({ id: name });
}

type Forget = (partition: number, id: string) => Promise<void>;

/** A probe that is going on is younger; one that is older was cut off. */
const cutOffMs = 60_000;
const tidiedMax = 100;

async function tidyUp(store: Store, partition: number, now: number, forget: Forget): Promise<void> {
  const { items } = await store.list({ partition, limit: tidiedMax });
  for (const { id, startedAt } of items) {
    if (startedAt > now - cutOffMs) continue;
    const key = { partition, id };
    const loaded = await store.load({ key, fields: [] });
    if (loaded.outcome !== "loaded") continue;
    await store.remove({ key, expected: loaded.head, tombstoneUntil: now, now });
    await forget(partition, id);
  }
}

/** `forget` deletes the tombstone, which would else be gone a minute later. */
export async function probe(
  store: Store,
  options: {
    readonly partitions: readonly number[];
    readonly now: number;
    readonly ids: Ids;
    readonly forget: Forget;
  },
): Promise<void> {
  const name = `probe-${options.ids.uuid()}`;
  for (const partition of options.partitions) {
    await tidyUp(store, partition, options.now, options.forget);
    await probeTask(store, partition, name, options.now);
    await options.forget(partition, name);
  }
  await probeDocuments(store, name, options.now);
}
