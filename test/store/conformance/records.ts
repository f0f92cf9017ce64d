/** Lists of executions, documents, servers, and what a store says of itself. */
import { expect } from "bun:test";
import { matches } from "../../../src/store/kit/lists.ts";
import { comparePlaces } from "../../../src/store/kit/order.ts";
import type { ListFilter, Listing, ListPlace, Store } from "../../../src/store/store.ts";
import { idsIn, partitions, start, type Test, t0 } from "./subject.ts";

export function recordTests(test: Test): void {
  listTests(test);
  filterTests(test);
  documentTests(test);
  serverTests(test);
}

async function startAt(store: Store, id: string, startedAt: number, more: Partial<Listing> = {}) {
  const listing = { id, workflow: "orders", version: 1, status: "RUNNING", startedAt } as const;
  return await start(store, id, { listing: { ...listing, ...more } });
}

function listTests(test: Test): void {
  test("lists are newest first, then by id, and go on where they ended", async (store) => {
    const ids = idsIn(1, 5);
    const moments = [t0 + 2, t0 + 1, t0 + 2, t0 + 3, t0 + 2];
    for (const [i, id] of ids.entries()) await startAt(store, id, moments[i] as number);
    const expected = ids
      .map((id, i) => ({ id, startedAt: moments[i] as number }))
      .sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1));
    const request = { partition: 1 };
    const all = await store.list({ ...request, limit: 100 });
    expect(all.items.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    expect(all.reached).toBeUndefined();
    const pages: string[] = [];
    let after: ListPlace | undefined;
    do {
      const part = await store.list({ ...request, limit: 2, ...(after && { after }) });
      expect(part.items.length).toBeLessThanOrEqual(2);
      pages.push(...part.items.map(({ id }) => id));
      after = part.reached;
    } while (after !== undefined);
    expect(pages).toEqual(expected.map(({ id }) => id));
    expect((await store.list({ partition: 0, limit: 9 })).items).toEqual([]);
  });

  test("a listing comes back as it was given", async (store) => {
    const id = "e1";
    const more = { correlationId: "order ü 😀", endedAt: t0 + 9, status: "CANCELLED" } as const;
    const e = await startAt(store, id, t0, more);
    const request = { partition: e.key.partition, correlationId: "order ü 😀", limit: 9 };
    const [listing] = (await store.list(request)).items;
    expect(listing).toEqual({ id, workflow: "orders", version: 1, startedAt: t0, ...more });
  });

  test("each index holds what equals its value, and follows the status", async (store) => {
    const [a, b, c] = idsIn(2, 3) as [string, string, string];
    await startAt(store, a, t0, { workflow: "x", correlationId: "k" });
    const ended = await startAt(store, b, t0 + 1, { workflow: "y", correlationId: "k" });
    await startAt(store, c, t0 + 2, { workflow: "x" });
    const ids = async (filter: ListFilter) =>
      (await store.list({ partition: 2, ...filter, limit: 9 })).items.map(({ id }) => id);
    expect(await ids({ workflow: "x" })).toEqual([c, a]);
    expect(await ids({ correlationId: "k" })).toEqual([b, a]);
    expect(await ids({ correlationId: "" })).toEqual([]);
    expect(await ids({ status: "RUNNING" })).toEqual([c, b, a]);
    await ended.commit({ status: "COMPLETED", endedAt: t0 + 5 });
    expect(await ids({ status: "RUNNING" })).toEqual([c, a]);
    expect(await ids({ status: "COMPLETED" })).toEqual([b]);
    const all = await store.list({ partition: 2, limit: 9 });
    expect(all.items.map(({ id, status }) => [id, status])).toEqual([
      [c, "RUNNING"],
      [b, "COMPLETED"],
      [a, "RUNNING"],
    ]);
  });
}

/** All that is listed, in as many calls as it takes, each of which looks at few. */
async function listAll(store: Store, request: ListFilter & { partition: number }) {
  const ids: string[] = [];
  let after: ListPlace | undefined;
  do {
    const part = await store.list({ ...request, limit: 2, lookMax: 5, ...(after && { after }) });
    expect(part.looked).toBeLessThanOrEqual(5);
    ids.push(...part.items.map(({ id }) => id));
    after = part.reached;
  } while (after !== undefined);
  return ids;
}

function filterTests(test: Test): void {
  test("lists hold what equals all that is asked for, before and after indexing", async (store) => {
    const partition = 3;
    const statuses = ["RUNNING", "COMPLETED", "FAILED"] as const;
    const listings: Listing[] = idsIn(partition, 60).map((id, i) => ({
      id,
      workflow: i % 7 === 0 ? "x" : "y",
      version: 1,
      startedAt: t0 + (i >> 1),
      status: statuses[i % 3]!,
      ...(i % 2 === 0 && { correlationId: i % 20 === 0 ? "rare" : "frequent" }),
    }));
    for (const { id, startedAt, ...more } of listings) await startAt(store, id, startedAt, more);
    const filters: ListFilter[] = [
      ...[{}, { workflow: "x" }, { status: "FAILED" }, { workflow: "y", status: "FAILED" }],
      ...[
        { workflow: "x", status: "RUNNING" },
        { workflow: "nobody", status: "FAILED" },
      ],
      ...[{ correlationId: "frequent", status: "COMPLETED" }, { correlationId: "rare" }],
      ...[{ correlationId: "rare", workflow: "x", status: "RUNNING" }],
      ...[{ startedAfter: t0 + 20 }, { startedAfter: t0 + 10, workflow: "y", status: "RUNNING" }],
    ] as const;
    const check = async () => {
      for (const filter of filters) {
        const expected = listings.filter((one) => matches(one, filter)).sort(comparePlaces);
        expect(await listAll(store, { partition, ...filter })).toEqual(expected.map((x) => x.id));
      }
    };
    await check();
    for (let i = 0; (await store.indexExecutions?.({ partition, limit: 7 })) === "more"; i++) {
      expect(i).toBeLessThan(10);
      await check();
    }
    await check();
  });

  test("what changes its status, or is removed, changes its place in every list", async (store) => {
    const [id] = idsIn(1, 1) as [string];
    const partition = 1;
    while ((await store.indexExecutions?.({ partition, limit: 9 })) === "more") {}
    const e = await startAt(store, id, t0);
    const of = (status: Listing["status"]) =>
      listAll(store, { partition, workflow: "orders", status });
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[id], []]);
    await e.commit({ status: "FAILED", endedAt: t0 + 5 });
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[], [id]]);
    const removal = { key: e.key, expected: e.head, tombstoneUntil: t0 + 100, now: t0 + 10 };
    expect(await store.remove(removal)).toBe("removed");
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[], []]);
  });
}

function documentTests(test: Test): void {
  const document = { kind: "workflow", id: "orders" };

  test("a document is written against its version", async (store) => {
    expect(await store.getDocument(document)).toBeUndefined();
    const put = (body: string, expectedVersion: number) =>
      store.putDocument({ ...document, body, expectedVersion });
    expect(await put('"a"', 1)).toEqual({ outcome: "conflict", version: 0 });
    expect(await put('"a"', 0)).toEqual({ outcome: "saved", version: 1 });
    expect(await put('"b"', 0)).toEqual({ outcome: "conflict", version: 1 });
    expect(await put('"b"', 1)).toEqual({ outcome: "saved", version: 2 });
    expect(await store.getDocument(document)).toEqual({ id: "orders", version: 2, body: '"b"' });
    expect(await store.getDocument({ ...document, kind: "action" })).toBeUndefined();
  });

  test("a repeated put answers as the first did", async (store) => {
    const put = { ...document, body: "1", expectedVersion: 0 };
    expect(await store.putDocument(put)).toEqual({ outcome: "saved", version: 1 });
    expect(await store.putDocument(put)).toEqual({ outcome: "saved", version: 1 });
    expect(await store.getDocument(document)).toMatchObject({ version: 1 });
  });

  test("of two writers with one version, one is saved", async (store) => {
    const answers = await Promise.all(
      ["1", "2", "3"].map((body) => store.putDocument({ ...document, body, expectedVersion: 0 })),
    );
    const outcomes = answers.map((answer) => answer.outcome).sort();
    expect(outcomes).toEqual(["conflict", "conflict", "saved"]);
  });

  test("a deleted document can be made anew", async (store) => {
    await store.putDocument({ ...document, body: "1", expectedVersion: 0 });
    expect(await store.deleteDocument(document)).toBe(true);
    expect(await store.deleteDocument(document)).toBe(false);
    expect(await store.getDocument(document)).toBeUndefined();
    const again = { ...document, body: "2", expectedVersion: 0 };
    expect(await store.putDocument(again)).toEqual({ outcome: "saved", version: 1 });
  });

  test("documents are listed by kind, in order of id, by prefix, in pieces", async (store) => {
    const ids = ["b/2", "a", "b/10", "b/1", "c", "b", "ü", "😀", "\uffee"];
    for (const id of ids) {
      await store.putDocument({ kind: "k", id, body: `"${id}"`, expectedVersion: 0 });
    }
    await store.putDocument({ kind: "other", id: "b/1", body: "1", expectedVersion: 0 });
    const list = async (more: { prefix?: string; after?: string; limit?: number }) =>
      (await store.listDocuments({ kind: "k", limit: 100, ...more })).map(({ id }) => id);
    const sorted = ["a", "b", "b/1", "b/10", "b/2", "c", "ü", "\uffee", "😀"];
    expect(await list({})).toEqual(sorted);
    expect(await list({ prefix: "b/" })).toEqual(["b/1", "b/10", "b/2"]);
    expect(await list({ prefix: "b/", after: "b/1", limit: 1 })).toEqual(["b/10"]);
    expect(await list({ after: "c", limit: 2 })).toEqual(["ü", "\uffee"]);
    expect(await list({ prefix: "nobody" })).toEqual([]);
    const [first] = await store.listDocuments({ kind: "other", limit: 1 });
    expect(first).toEqual({ id: "b/1", version: 1, body: "1" });
  });
}

function serverTests(test: Test): void {
  test("servers live from beat to beat", async (store) => {
    const beat = (id: string, now: number, body = "{}") =>
      store.beatServer({ id, body, now, ttlMs: 100 });
    await beat("s2", t0);
    await beat("s1", t0 + 50, '{"n":1}');
    const one = { id: "s1", body: '{"n":1}' };
    const two = { id: "s2", body: "{}" };
    expect(await store.listServers({ now: t0 + 99 })).toEqual([one, two]);
    expect(await store.listServers({ now: t0 + 100 })).toEqual([one]);
    await beat("s2", t0 + 120, '{"n":2}');
    expect(await store.listServers({ now: t0 + 149 })).toEqual([one, { ...two, body: '{"n":2}' }]);
    await store.leaveServer({ id: "s1" });
    await store.leaveServer({ id: "nobody" });
    expect((await store.listServers({ now: t0 + 149 })).map(({ id }) => id)).toEqual(["s2"]);
  });

  test("a store describes itself", async (store) => {
    expect(store.partitions).toBe(partitions);
    expect(store.traits.name).not.toBe("");
    expect(store.traits.durability).toMatch(/^[A-Z].*\.$/);
    const { used } = await store.pressure();
    expect(used).toBeGreaterThanOrEqual(0);
    expect(used).toBeLessThan(0.5);
  });
}
