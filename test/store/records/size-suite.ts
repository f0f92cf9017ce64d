/** What is large: payloads, fan-outs with heartbeats, and what a removal leaves of them. */
import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import type { RecordsDriver } from "../../../src/store/records/driver.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import type { Head, Store } from "../../../src/store/store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { effects, newTask } from "../conformance/subject.ts";
import { withoutClock } from "./without-clock.ts";

const queue = "default/wide";

const wideTask = (id: string) =>
  newTask(id, { queue, heartbeatMs: 30_000, header: "{}", parameters: '{"n":1}' });

export interface SizeSubject {
  readonly driver: RecordsDriver;
  /** What is left of an execution in the database, besides its tombstone. */
  left(id: string): Promise<readonly unknown[]>;
}

/** `openEmpty` returns an empty database of one partition each time. */
export function recordsSizes(openEmpty: () => Promise<SizeSubject>): void {
  const clock = new HandClock();
  const now = clock.now();
  async function open() {
    const { driver, left } = await openEmpty();
    return { left, store: openRecordsStore(withoutClock(driver), { nonce: "n", clock }) };
  }

  const create = (store: Store, id: string, data: ReadonlyMap<string, string>) =>
    store.create({
      key: executionKey(id, 1),
      commitId: "create",
      listing: { id, workflow: "sizes", version: 1, status: "RUNNING", startedAt: now },
      state: "{}",
      now,
      data,
      effects: effects(),
    });

  const commitTo = (store: Store, id: string) => {
    let commits = 0;
    return async (expected: Head, more: Partial<Parameters<Store["commit"]>[0]>) => {
      commits += 1;
      const answer = await store.commit({
        key: executionKey(id, 1),
        expected,
        commitId: `commit-${commits}`,
        state: "{}",
        status: "RUNNING",
        settle: [],
        expire: [],
        consumeTimers: [],
        data: new Map(),
        effects: effects(),
        now,
        ...more,
      });
      if (answer.outcome !== "committed") throw new Error(answer.outcome);
      return answer.head;
    };
  };

  /** Ends it, and removes it. */
  async function endAndRemove(store: Store, id: string, head: Head) {
    const ended = await commitTo(store, id)(head, {
      commitId: "end",
      status: "COMPLETED",
      endedAt: now,
    });
    const request = { key: executionKey(id, 1), expected: ended, tombstoneUntil: now + 1, now };
    while ((await store.remove(request)) === "more");
  }

  test("payloads of 3 MiB", async () => {
    const { store, left } = await open();
    const bytes = Buffer.alloc((limits.payloadBytesMax / 4) * 3 - 3);
    for (let i = 0; i < bytes.length; i += 65_536) {
      crypto.getRandomValues(bytes.subarray(i, Math.min(i + 65_536, bytes.length)));
    }
    const payload = `"${bytes.toString("base64")}"`;
    expect(payload.length).toBeGreaterThan(limits.payloadBytesMax - 10);
    const created = await create(store, "large", new Map([["input", payload]]));
    if (created.outcome !== "created") throw new Error(created.outcome);
    const head = await commitTo(store, "large")(created.head, {
      data: new Map([["output", payload]]),
    });
    const loaded = await store.load({ key: executionKey("large", 1) });
    if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
    expect(loaded.data.get("input") === payload).toBe(true);
    expect(loaded.data.get("output") === payload).toBe(true);
    await endAndRemove(store, "large", head);
    expect(await left("large")).toEqual([]);
    await store.close();
  });

  test("a fan-out of 1,000 tasks with heartbeats", async () => {
    const { store, left } = await open();
    const created = await create(store, "wide", new Map());
    if (created.outcome !== "created") throw new Error(created.outcome);
    const commit = commitTo(store, "wide");
    const count = 1_000;
    const ids = Array.from({ length: count }, (_, i) => `wide:1:${i}:a`);
    const each = 80;
    let { head } = created;
    for (let i = 0; i < count; i += each) {
      head = await commit(head, {
        effects: effects({ tasks: ids.slice(i, i + each).map(wideTask) }),
      });
    }
    const tokenPrefix = "mf3.0123456789abcdef";
    const claimed: string[] = [];
    for (let call = 0; claimed.length < count && call < 100; call++) {
      const { tasks } = await store.claimTasks({
        partition: 0,
        queues: [{ name: queue, limit: 100 }],
        limit: 100,
        tokenPrefix: `${tokenPrefix}-${call}`,
        workerId: "w",
        heartbeatMs: 30_000,
        now,
      });
      claimed.push(...tasks.map(({ token, id }) => `${id} ${token}`));
    }
    expect(new Set(claimed.map((one) => one.split(" ")[0]))).toEqual(new Set(ids));
    const held = claimed.map((one) => {
      const [taskId = "", token = ""] = one.split(" ");
      return { key: executionKey("wide", 1), taskId, token };
    });
    const later = now + 10_000;
    const leases = held.map((one) => ({ ...one, until: later + 30_000 }));
    const answers = await store.extendLeases({ partition: 0, leases, now: later });
    expect(new Set(answers.map(({ outcome }) => outcome))).toEqual(new Set(["extended"]));
    for (let i = 0; i < count; i += each) {
      const settle = held.slice(i, i + each).map(({ taskId, token }) => ({ taskId, token }));
      head = await commit(head, { settle });
    }
    expect((await store.holdings(executionKey("wide", 1))).tasks).toEqual([]);
    await endAndRemove(store, "wide", head);
    expect(await left("wide")).toEqual([]);
    await store.close();
  }, 60_000);

  test("executions that wait, beside one that goes on as before", async () => {
    const { store } = await open();
    const many = 2_000;
    const waiting = Array.from({ length: many }, (_, i) => `wait-${i}`);
    for (let i = 0; i < many; i += 50) {
      await Promise.all(
        waiting.slice(i, i + 50).map((id) =>
          store.create({
            key: executionKey(id, 1),
            commitId: "create",
            listing: { id, workflow: "sizes", version: 1, status: "RUNNING", startedAt: now },
            state: "{}",
            now,
            data: new Map(),
            effects: effects({ timers: [{ id: "t", at: now + 86_400_000 }] }),
          }),
        ),
      );
    }
    const none = await store.claimDue({ partition: 0, claimId: "a", limit: 9, hideMs: 1, now });
    expect(none.items).toEqual([]);
    const created = await create(store, "goes-on", new Map());
    if (created.outcome !== "created") throw new Error(created.outcome);
    await commitTo(store, "goes-on")(created.head, {
      effects: effects({ timers: [{ id: "soon", at: now + 1_000 }] }),
    });
    const { items } = await store.claimDue({
      partition: 0,
      claimId: "b",
      limit: 9,
      hideMs: 1_000,
      now: now + 1_000,
    });
    expect(items.map(({ key }) => key.id)).toEqual(["goes-on"]);
    await store.close();
  }, 60_000);
}
