/** Shelves: hints in the order of their places. */
import { expect } from "bun:test";
import type {
  Place,
  RecordsDriver,
  ScanRequest,
  Shelf,
} from "../../../src/store/records/driver.ts";
import type { DriverTest } from "./driver-suite.ts";

const work: Shelf = { partition: 1, kind: "work", name: "due" };
const list: Shelf = { partition: 1, kind: "list", name: "all" };
/** Near the clock of the database: entries are posted for moments from now on. */
const base = Math.floor(Date.now() / 1000) * 1000 + 60_000;
const weekMs = 7 * 86_400_000;

const hint = (shelf: Shelf, at: number, id: string) => ({
  shelf,
  entry: { place: { at, id }, body: `{"at":${at},"id":"${id}"}` },
});

async function scan(
  { shelves }: RecordsDriver,
  request: Omit<ScanRequest, "limit"> & { limit?: number },
) {
  const { entries, more } = await shelves.scan({ limit: 100, ...request });
  for (const { place, body } of entries) {
    expect(body).toBe(`{"at":${place.at},"id":"${place.id}"}`);
  }
  return { ids: entries.map(({ place }) => place.id), more };
}

/** All, page by page. */
async function scanAll(driver: RecordsDriver, request: ScanRequest) {
  const ids: string[] = [];
  for (let after: Place | undefined, pages = 0; ; pages++) {
    expect(pages).toBeLessThan(200);
    const page = await driver.shelves.scan({ ...request, ...(after !== undefined && { after }) });
    expect(page.entries.length).toBeLessThanOrEqual(request.limit);
    ids.push(...page.entries.map(({ place }) => place.id));
    after = page.entries.at(-1)?.place ?? after;
    if (!page.more) return ids;
    expect(page.entries.length).toBeGreaterThan(0);
  }
}

export function shelfTests(test: DriverTest): void {
  orderTests(test);
  boundTests(test);
  strikeTests(test);
}

function orderTests(test: DriverTest): void {
  const moments = [0, 1, 1, 1, 1, 1, 59_999, 60_000, 3_600_000, weekMs, weekMs + 1];
  const ids = ["z", "B", "a", "a!", "\uffee", "😀", "y", "x", "w", "v", "u"];

  for (const shelf of [work, list]) {
    test(`a ${shelf.kind} shelf is scanned in its order, in pages of any size`, async (driver) => {
      const hints = ids.map((id, i) => hint(shelf, base + moments[i]!, id));
      await driver.shelves.post(hints.toReversed());
      const expected = shelf.kind === "work" ? ids : ids.toReversed();
      for (const limit of [1, 2, 3, 100]) {
        expect(await scanAll(driver, { shelf, limit })).toEqual(expected);
      }
    });
  }

  test("hundreds of hints are posted at once, and scanned in order", async (driver) => {
    const names = Array.from({ length: 330 }, (_, i) => `h${String(i).padStart(3, "0")}`);
    await driver.shelves.post(names.map((id, i) => hint(work, base + (i >> 3), id)));
    expect(await scanAll(driver, { shelf: work, limit: 100 })).toEqual(names);
    const counted = await Promise.all(
      [10, 330, 1_000].map((max) => driver.shelves.count({ shelf: work, max })),
    );
    expect(counted).toEqual([10, 330, 330]);
    await driver.shelves.strike(
      names.slice(1).map((id, i) => ({ shelf: work, place: { at: base + ((i + 1) >> 3), id } })),
    );
    expect(await scanAll(driver, { shelf: work, limit: 100 })).toEqual(["h000"]);
  });

  test("shelves are apart by partition, kind and name", async (driver) => {
    const names = ["q/a", "q/a/b", "q", "ü 😀", "__proto__"];
    const shelves = [1, 2].flatMap((partition) =>
      names.flatMap((name) =>
        (["work", "list"] as const).map((kind): Shelf => ({ partition, kind, name })),
      ),
    );
    await driver.shelves.post(shelves.map((shelf, i) => hint(shelf, base, `h${i}`)));
    for (const [i, shelf] of shelves.entries()) {
      expect(await scan(driver, { shelf })).toEqual({ ids: [`h${i}`], more: false });
    }
    expect(await scan(driver, { shelf: { ...work, partition: 3 } })).toEqual({
      ids: [],
      more: false,
    });
  });
}

function boundTests(test: DriverTest): void {
  test("work is scanned up to a moment, and counted", async (driver) => {
    const moments = [0, 10, 10, 20, 90_000];
    await driver.shelves.post(moments.map((at, i) => hint(work, base + at, `h${i}`)));
    const upTo = (bound: number) => scan(driver, { shelf: work, bound: base + bound });
    expect(await upTo(-1)).toEqual({ ids: [], more: false });
    expect(await upTo(10)).toEqual({ ids: ["h0", "h1", "h2"], more: false });
    expect((await upTo(89_999)).ids).toEqual(["h0", "h1", "h2", "h3"]);
    expect((await upTo(90_000)).ids.length).toBe(5);
    const limited = await scan(driver, { shelf: work, bound: base + 10, limit: 2 });
    expect(limited).toEqual({ ids: ["h0", "h1"], more: true });
    const count = (bound: number, max: number) =>
      driver.shelves.count({ shelf: work, bound: base + bound, max });
    expect(await Promise.all([count(-1, 9), count(10, 9), count(10, 2)])).toEqual([0, 3, 2]);
    expect(await driver.shelves.count({ shelf: work, max: 9 })).toBe(5);
  });

  test("a list is scanned down to a moment, from after a place", async (driver) => {
    const moments = [0, 10, 10, 20, weekMs];
    await driver.shelves.post(moments.map((at, i) => hint(list, base + at, `h${i}`)));
    const downTo = (bound: number) => scan(driver, { shelf: list, bound: base + bound });
    expect((await downTo(-1)).ids).toEqual(["h4", "h3", "h2", "h1", "h0"]);
    expect((await downTo(10)).ids).toEqual(["h4", "h3"]);
    expect((await downTo(weekMs)).ids).toEqual([]);
    const from = async (at: number, id: string) =>
      (await scan(driver, { shelf: list, after: { at: base + at, id } })).ids;
    expect(await from(10, "h2")).toEqual(["h1", "h0"]);
    expect(await from(10, "h1\u0000")).toEqual(["h1", "h0"]);
    expect(await from(15, "nobody")).toEqual(["h2", "h1", "h0"]);
    expect(await from(0, "")).toEqual([]);
  });

  test("lists hold moments that are long past", async (driver) => {
    const past = base - 400 * 86_400_000;
    await driver.shelves.post([hint(list, past, "old"), hint(list, base, "new")]);
    expect(await scanAll(driver, { shelf: list, limit: 1 })).toEqual(["new", "old"]);
  });

  test("work goes on after a place that is not taken", async (driver) => {
    await driver.shelves.post([1, 2, 3].map((i) => hint(work, base + i, `h${i}`)));
    const after = { at: base + 2, id: "h1x" };
    expect((await scan(driver, { shelf: work, after })).ids).toEqual(["h2", "h3"]);
  });
}

function strikeTests(test: DriverTest): void {
  test("a struck hint is gone; those that are not there are ignored", async (driver) => {
    await driver.shelves.post([1, 2, 3].map((i) => hint(work, base, `h${i}`)));
    const places = ["h2", "nobody"].map((id) => ({ shelf: work, place: { at: base, id } }));
    await driver.shelves.strike(places);
    await driver.shelves.strike(places);
    await driver.shelves.strike([]);
    await driver.shelves.post([]);
    expect((await scan(driver, { shelf: work })).ids).toEqual(["h1", "h3"]);
  });

  test("a hint is seen at once, also behind many that were struck", async (driver) => {
    const { shelves } = driver;
    for (let round = 0; round < 5; round++) {
      const ids = Array.from({ length: 50 }, (_, i) => `r${round}-${String(i).padStart(2, "0")}`);
      const now = Date.now();
      await shelves.post(ids.map((id) => hint(work, now, id)));
      expect((await scan(driver, { shelf: work, bound: now })).ids).toEqual(ids);
      await shelves.strike(ids.map((id) => ({ shelf: work, place: { at: now, id } })));
      expect((await scan(driver, { shelf: work })).ids).toEqual([]);
    }
  });

  test("a hint that comes a little late is seen all the same", async (driver) => {
    const { shelves, limits } = driver;
    const now = Date.now();
    await shelves.post([hint(work, now, "first")]);
    expect((await scan(driver, { shelf: work })).ids).toEqual(["first"]);
    const late = now - Math.floor(limits.lateMs / 2);
    await shelves.post([hint(work, late, "late")]);
    expect((await scan(driver, { shelf: work })).ids).toEqual(["late", "first"]);
  });
}
