/** Lists of executions. */
import { expect } from "bun:test";
import { matches } from "../../../src/store/kit/lists.ts";
import { comparePlaces } from "../../../src/store/kit/order.ts";
import type { ListFilter, Listing, ListPlace, Store } from "../../../src/store/store.ts";
import { idsIn, start, type Test, t0 } from "./subject.ts";

export function listTests(test: Test): void {
  orderTests(test);
  filterTests(test);
}

async function startAt(store: Store, id: string, startedAt: number, more: Partial<Listing> = {}) {
  const listing = { id, workflow: "orders", version: 1, status: "RUNNING", startedAt } as const;
  return await start(store, id, { listing: { ...listing, ...more } });
}

function orderTests(test: Test): void {
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
    const child = { parent: "p:1", inline: true } as const;
    const more = {
      ...child,
      correlationId: "order ü 😀",
      endedAt: t0 + 9,
      status: "CANCELLED",
    } as const;
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
      ...(i % 3 === 0 && { parent: i % 4 === 0 ? "one" : "other" }),
      ...(i % 6 === 0 && { inline: true }),
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
      ...[{ parent: "one" }, { parent: "other", status: "RUNNING" }, { parent: "nobody" }],
      ...[
        { parent: "one", correlationId: "frequent" },
        { parent: "other", workflow: "x" },
      ],
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
    const e = await startAt(store, id, t0, { parent: "p" });
    const ofParent = () => listAll(store, { partition, parent: "p" });
    const of = (status: Listing["status"]) =>
      listAll(store, { partition, workflow: "orders", status });
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[id], []]);
    await e.commit({ status: "FAILED", endedAt: t0 + 5 });
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[], [id]]);
    const removal = { key: e.key, expected: e.head, tombstoneUntil: t0 + 100, now: t0 + 10 };
    expect(await ofParent()).toEqual([id]);
    expect(await store.remove(removal)).toBe("removed");
    expect(await ofParent()).toEqual([]);
    expect([await of("RUNNING"), await of("FAILED")]).toEqual([[], []]);
  });
}
