/** Lists of executions over all partitions: which executions a page holds, and what it costs. */
import { expect, test } from "bun:test";
import { systemClock } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import { Lists, listedPartitionsMax, listLookMax } from "../../../src/runtime/services/listing.ts";
import type { ListExecutions } from "../../../src/runtime/shared/orchestrator.ts";
import { matches } from "../../../src/store/kit/lists.ts";
import { comparePlaces } from "../../../src/store/kit/order.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { ListAnswer, Listing, ListRequest } from "../../../src/store/store.ts";
import { createRequest, t0 } from "../../store/conformance/subject.ts";
import { Chance } from "../../support/chance.ts";

/** Counts the requests. */
class CountingStore extends MemoryStore {
  readonly asked: ListRequest[] = [];
  looked = 0;

  override async list(request: ListRequest): Promise<ListAnswer> {
    this.asked.push(request);
    const answer = await super.list(request);
    this.looked += answer.looked;
    return answer;
  }
}

async function fill(store: MemoryStore, listings: readonly Listing[]): Promise<void> {
  for (const listing of listings) {
    const key = executionKey(listing.id, store.partitions);
    await store.create({ ...createRequest(listing.id), key, listing });
  }
}

function listingOf(id: string, changes: Partial<Listing>): Listing {
  return { id, workflow: "w", version: 1, status: "COMPLETED", startedAt: t0, ...changes };
}

async function allPages(lists: Lists, request: ListExecutions) {
  const ids: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await lists.page({ ...request, ...(cursor !== undefined && { cursor }) });
    expect(page.items.length).toBeLessThanOrEqual(request.limit);
    // A page that is not full is the last one, or says that it is incomplete.
    if (page.items.length < request.limit) expect(page.incomplete ?? false).toBe("cursor" in page);
    ids.push(...page.items.map(({ id }) => id));
    cursor = page.cursor;
    if (cursor === undefined) return ids;
  }
}

test("pages hold each execution that matches once, the newest first", async () => {
  for (const [partitions, count] of [
    [1, 150],
    [7, 300],
    [40, 300],
  ] as const) {
    const chance = new Chance(partitions);
    const listings = Array.from({ length: count }, (_, i) =>
      listingOf(`e${i}`, {
        startedAt: t0 + chance.below(100),
        workflow: chance.pick(["a", "a", "b"]),
        status: chance.pick(["COMPLETED", "COMPLETED", "FAILED"]),
        ...(chance.percent(50) && { correlationId: chance.pick(["k", "l"]) }),
      }),
    );
    const store = new MemoryStore({ partitions });
    await fill(store, listings);
    const lists = new Lists({ store, clock: systemClock });
    for (const filter of [
      ...[{}, { workflow: "b" }, { status: "FAILED" }, { workflow: "b", status: "FAILED" }],
      ...[
        { correlationId: "k", status: "FAILED" },
        { startedAfter: t0 + 70, workflow: "a" },
      ],
      ...[{ startedBefore: t0 + 30 }],
    ] as const satisfies readonly Partial<ListExecutions>[]) {
      const { startedBefore = t0 + 100 } = filter as Partial<ListExecutions>;
      const expected = listings
        .filter((one) => matches(one, filter) && one.startedAt < startedBefore)
        .sort(comparePlaces);
      const ids = await allPages(lists, { ...filter, limit: 1 + chance.below(40) });
      expect(ids).toEqual(expected.map(({ id }) => id));
    }
  }
});

test("a page reads few executions of each partition, and of few partitions at once", async () => {
  const store = new CountingStore({ partitions: 64 });
  const ids = Array.from({ length: 3_000 }, (_, i) => `e${i}`);
  await fill(
    store,
    ids.map((id, i) => listingOf(id, { startedAt: t0 + i })),
  );
  let atOnce = 0;
  let most = 0;
  const list = store.list.bind(store);
  store.list = async (request) => {
    most = Math.max(most, ++atOnce);
    const answer = await list(request);
    atOnce -= 1;
    return answer;
  };
  const page = await new Lists({ store, clock: systemClock }).page({ limit: 50 });
  expect(page.items.map(({ id }) => id)).toEqual(ids.reverse().slice(0, 50));
  expect(store.looked).toBeLessThan(5 * 50);
  expect(store.asked.length).toBeLessThan(64 + 16);
  expect(most).toBeLessThanOrEqual(listedPartitionsMax);
});

test("a search that finds little says that it was cut short, and goes on", async () => {
  const store = new CountingStore({ partitions: 4 });
  const half = limits.listPageLookMax * 1.5;
  // No index holds just the failed ones of the first order: there is one, the oldest.
  const listings = Array.from({ length: 2 * half }, (_, i) =>
    listingOf(`e${i}`, {
      startedAt: t0 + i,
      status: i > half || i === 0 ? "FAILED" : "COMPLETED",
      correlationId: i < half ? "first" : "second",
    }),
  );
  await fill(store, listings);
  const lists = new Lists({ store, clock: systemClock });
  const request = { correlationId: "first", status: "FAILED", limit: 10 } as const;
  const page = await lists.page(request);
  expect(page).toEqual({ items: [], cursor: expect.any(String), incomplete: true });
  expect(store.looked).toBeLessThan(limits.listPageLookMax + 4 * listLookMax);
  expect(await allPages(lists, request)).toEqual(["e0"]);
});

test("few lists are put together at once, and none for a caller that is gone", async () => {
  const store = new CountingStore({ partitions: 1 });
  const lists = new Lists({ store, clock: systemClock });
  const gone = new AbortController();
  const pages = Array.from({ length: limits.listsAtOnceMax + 1 }, () => lists.page({ limit: 1 }));
  const last = lists.page({ limit: 1 }, gone.signal);
  expect(store.asked.length).toBe(limits.listsAtOnceMax);
  gone.abort();
  await expect(last).rejects.toThrow("The caller has disconnected.");
  await Promise.all(pages);
  expect(store.asked.length).toBe(pages.length);
});
