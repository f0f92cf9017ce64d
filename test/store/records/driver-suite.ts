/**
 * What the records store relies on, as tests of a driver: every primitive, each condition, and what
 * happens when many change the same record at once. Drivers pass the same ones.
 */
import { test as bunTest, describe, expect } from "bun:test";
import type { ExecutionKey } from "../../../src/model/ids.ts";
import type {
  ChangeAnswer,
  HeadRecord,
  RecordsDriver,
  RowChange,
} from "../../../src/store/records/driver.ts";
import type { Store } from "../../../src/store/store.ts";
import { storeConformance } from "../conformance.ts";
import { partTests } from "./part-suite.ts";
import { shelfTests } from "./shelf-suite.ts";

export interface DriverSubject {
  readonly driver: RecordsDriver;
  /** Removes what the driver left behind; called after it is closed. */
  cleanUp(): Promise<void>;
}

export type DriverTest = (
  title: string,
  body: (driver: RecordsDriver) => Promise<void>,
  timeoutMs?: number,
) => void;

export const key: ExecutionKey = { partition: 1, id: "e1" };
export const otherKey: ExecutionKey = { partition: 1, id: "ü 😀/e:2.x" };

/** `open` returns an empty database each time. */
export function recordsDriverSuite(
  name: string,
  open: (options: { readonly partitions: number }) => Promise<DriverSubject>,
): void {
  const test: DriverTest = (title, body, timeoutMs) => {
    bunTest(
      title,
      async () => {
        const { driver, cleanUp } = await open({ partitions: 4 });
        try {
          await body(driver);
        } finally {
          await driver.close();
          await cleanUp();
        }
      },
      timeoutMs,
    );
  };
  describe(`${name} carries the records store`, () => {
    headTests(test);
    rowTests(test);
    raceTests(test);
    partTests(test);
    shelfTests(test);
  });
  const openFacets = async (options: { readonly partitions: number }) => {
    const { driver, cleanUp } = await open(options);
    const { documents, servers } = driver;
    const store = bound<Store>(documents, servers, { close: () => driver.close() });
    return { store, cleanUp };
  };
  storeConformance(name, openFacets, { facets: ["documents", "servers"] });
}

/** One object with the methods of all of these. */
function bound<Whole extends object>(...parts: readonly object[]): Partial<Whole> {
  return new Proxy({} as Partial<Whole>, {
    get(_, name) {
      const part = parts.find((one) => Reflect.get(one, name) !== undefined);
      const value: unknown = part && Reflect.get(part, name);
      return typeof value === "function" ? value.bind(part) : value;
    },
  });
}

const head = (version: number, body = `head ${version}`, closed = false): HeadRecord => ({
  version,
  body,
  closed,
});

const row = (name: string, expected: number | null, version: number | undefined): RowChange => ({
  name,
  expected,
  ...(version !== undefined && { next: { version, body: `${name} ${version}` } }),
});

const write = (expected: number | null, next: HeadRecord, rows: readonly RowChange[] = []) => ({
  key,
  head: { kind: "write", expected, next } as const,
  rows,
});

const changeRows = (kind: "open" | "any", ...rows: readonly RowChange[]) => ({
  key,
  head: { kind } as const,
  rows,
});

const changed = { outcome: "changed" } as const;

/** It was refused, and what it says that is there is there. */
async function expectRefused(driver: RecordsDriver, answer: ChangeAnswer): Promise<void> {
  expect(answer.outcome).toBe("refused");
  if (answer.outcome !== "refused" || answer.found === undefined) return;
  const there = await driver.aggregates.read({ key, rows: "all", sure: true });
  expect(answer.found.head).toEqual(there.head);
  for (const [name, found] of answer.found.rows) expect(found).toEqual(there.rows.get(name)!);
}

function headTests(test: DriverTest): void {
  test("what was never written is not there", async ({ aggregates }) => {
    expect(await aggregates.read({ key })).toEqual({ rows: new Map() });
    expect(await aggregates.read({ key, rows: "all", sure: true })).toEqual({ rows: new Map() });
    expect(await aggregates.readHeads([key, otherKey])).toEqual([undefined, undefined]);
  });

  test("a head is written where none is, and then against its version", async (driver) => {
    const { aggregates } = driver;
    expect(await aggregates.change(write(null, head(7)))).toEqual(changed);
    await expectRefused(driver, await aggregates.change(write(null, head(8, "lost"))));
    await expectRefused(driver, await aggregates.change(write(6, head(8, "lost"))));
    expect(await aggregates.read({ key })).toEqual({ head: head(7), rows: new Map() });
    const body = '{"a":"ü 漢 😀 \\u0000 12345678901234567890.10"}\n';
    expect(await aggregates.change(write(7, head(9, body, true)))).toEqual(changed);
    for (const sure of [false, true]) {
      const read = await aggregates.read({ key, sure });
      expect(read).toEqual({ head: head(9, body, true), rows: new Map() });
    }
    await expectRefused(driver, await aggregates.change(write(7, head(10))));
  });

  test("versions are moments of milliseconds, and grow by one, too", async ({ aggregates }) => {
    const now = 1_790_000_000_000;
    expect(await aggregates.change(write(null, head(now)))).toEqual(changed);
    expect(await aggregates.change(write(now, head(now + 1)))).toEqual(changed);
    expect((await aggregates.read({ key })).head?.version).toBe(now + 1);
  });

  test("a head is deleted against its version, and written anew", async (driver) => {
    const { aggregates } = driver;
    await aggregates.change(write(null, head(1)));
    const remove = (expected: number) =>
      aggregates.change({ key, head: { kind: "delete", expected }, rows: [] });
    await expectRefused(driver, await remove(2));
    expect(await remove(1)).toEqual(changed);
    await expectRefused(driver, await remove(1));
    expect((await aggregates.read({ key })).head).toBeUndefined();
    expect(await aggregates.change(write(null, head(3)))).toEqual(changed);
  });

  test("one that may be forgotten later is there until then", async ({ aggregates }) => {
    const expiresAt = Date.now() + 3_600_000;
    const next = head(1, "tombstone", true);
    const change = { key, head: { kind: "write", expected: null, next, expiresAt } as const };
    expect(await aggregates.change({ ...change, rows: [] })).toEqual(changed);
    expect((await aggregates.read({ key })).head).toEqual(next);
    expect(await aggregates.change(write(1, head(2)))).toEqual(changed);
    expect((await aggregates.read({ key })).head).toEqual(head(2));
  });

  test("heads of many executions are read in their order", async ({ aggregates }) => {
    const keys = Array.from({ length: 130 }, (_, i) => ({ partition: 2, id: `e${i}` }));
    for (const [i, one] of keys.entries()) {
      if (i % 3 === 0) continue;
      const next = head(i + 1, one.id, i % 2 === 0);
      await aggregates.change({
        key: one,
        head: { kind: "write", expected: null, next },
        rows: [],
      });
    }
    const read = await aggregates.readHeads(keys.toReversed());
    const expected = keys.map(({ id }, i) =>
      i % 3 === 0 ? undefined : head(i + 1, id, i % 2 === 0),
    );
    expect(read).toEqual(expected.toReversed());
    expect(await aggregates.readHeads([])).toEqual([]);
  });

  test("the largest body comes back whole", async ({ aggregates, limits }) => {
    const body = "ü€".repeat(Math.floor(limits.bodyBytesMax / 5));
    const rows = [{ name: "t:1", expected: null, next: { version: 1, body } }];
    await aggregates.change(write(null, head(1, body), rows));
    const read = await aggregates.read({ key, rows: ["t:1"] });
    expect(read.head?.body === body && read.rows.get("t:1")?.body === body).toBe(true);
  });
}

function rowTests(test: DriverTest): void {
  test("rows are read by name, or all of them", async ({ aggregates }) => {
    const names = ["t:a", "t:b", "t:__proto__", "t:ü 😀", "t:e1:0:1:a.7"];
    const rows = names.map((name, i) => row(name, null, i + 1));
    expect(await aggregates.change(write(null, head(1), rows))).toEqual(changed);
    const all = await aggregates.read({ key, rows: "all" });
    expect(all.head).toEqual(head(1));
    for (const [i, name] of names.entries()) {
      expect(all.rows.get(name)).toEqual({ version: i + 1, body: `${name} ${i + 1}` });
    }
    expect(all.rows.size).toBe(names.length);
    const some = await aggregates.read({ key, rows: ["t:b", "t:nobody"], sure: true });
    expect([...some.rows]).toEqual([["t:b", { version: 2, body: "t:b 2" }]]);
    expect((await aggregates.read({ key })).rows.size).toBe(0);
    expect((await aggregates.read({ key: otherKey, rows: "all" })).rows.size).toBe(0);
  });

  test("all conditions hold and all is written, or nothing is", async (driver) => {
    const { aggregates } = driver;
    await aggregates.change(write(null, head(1), [row("t:a", null, 1), row("t:b", null, 1)]));
    const before = await aggregates.read({ key, rows: "all" });
    const refused = [
      write(9, head(10), [row("t:a", 1, 2)]),
      write(1, head(2), [row("t:a", 1, 2), row("t:b", 9, 10)]),
      write(1, head(2), [row("t:a", null, 2)]),
      write(1, head(2), [row("t:c", 1, 2)]),
      write(1, head(2), [row("t:c", 1, undefined), row("t:a", 1, 2)]),
      changeRows("any", row("t:a", 1, 2), row("t:b", 7, 8)),
      changeRows("open", row("t:a", 9, undefined), row("t:d", null, 1)),
    ];
    for (const change of refused) {
      await expectRefused(driver, await aggregates.change(change));
      expect(await aggregates.read({ key, rows: "all" })).toEqual(before);
    }
    const rows = [row("t:a", 1, 2), row("t:b", 1, undefined), row("t:c", null, 2)];
    expect(await aggregates.change(write(1, head(2), rows))).toEqual(changed);
    const after = await aggregates.read({ key, rows: "all" });
    expect(after.head).toEqual(head(2));
    expect([...after.rows.keys()].toSorted()).toEqual(["t:a", "t:c"]);
  });

  test("a row changes while the head is open, and not looked at otherwise", async (driver) => {
    const { aggregates } = driver;
    await expectRefused(driver, await aggregates.change(changeRows("open", row("t:a", null, 1))));
    await aggregates.change(write(null, head(1), [row("t:a", null, 1)]));
    expect(await aggregates.change(changeRows("open", row("t:a", 1, 2)))).toEqual(changed);
    await aggregates.change(write(1, head(2, "closed", true)));
    await expectRefused(driver, await aggregates.change(changeRows("open", row("t:a", 2, 3))));
    expect(await aggregates.change(changeRows("any", row("t:a", 2, 3)))).toEqual(changed);
    expect(await aggregates.change(changeRows("any", row("t:a", 3, undefined)))).toEqual(changed);
    const read = await aggregates.read({ key, rows: "all" });
    expect(read).toEqual({ head: head(2, "closed", true), rows: new Map() });
  });

  test("as many rows change at once as the driver says", async ({ aggregates, limits }) => {
    const names = Array.from({ length: limits.changeRowsMax }, (_, i) => `t:${i}`);
    const added = names.map((name) => row(name, null, 1));
    expect(await aggregates.change(write(null, head(1), added))).toEqual(changed);
    expect((await aggregates.read({ key, rows: "all" })).rows.size).toBe(names.length);
    expect((await aggregates.read({ key, rows: names })).rows.size).toBe(names.length);
    const removed = names.map((name) => row(name, 1, undefined));
    expect(await aggregates.change(write(1, head(2), removed))).toEqual(changed);
    expect((await aggregates.read({ key, rows: "all" })).rows.size).toBe(0);
  });

  test("a thousand rows are read together", async ({ aggregates, limits }) => {
    const rows = Array.from({ length: 1_000 }, (_, i) => row(`t:${i}`, null, 1));
    for (let i = 0; i < rows.length; i += limits.changeRowsMax) {
      const some = rows.slice(i, i + limits.changeRowsMax);
      expect(await aggregates.change(changeRows("any", ...some))).toEqual(changed);
    }
    expect((await aggregates.read({ key, rows: "all" })).rows.size).toBe(1_000);
  });
}

function raceTests(test: DriverTest): void {
  const many = Array.from({ length: 12 }, (_, i) => i);

  /** A call that fails says nothing of its outcome; it is then looked for. */
  const wins = async (changes: readonly Promise<ChangeAnswer>[]) => {
    const answers = await Promise.all(changes);
    return answers.flatMap(({ outcome }, i) => (outcome === "changed" ? [i] : []));
  };

  test("of many that change one version of a head, one does", async ({ aggregates }) => {
    const first = await wins(
      many.map((i) => aggregates.change(write(null, head(1, `first ${i}`)))),
    );
    expect(first.length).toBe(1);
    const second = await wins(many.map((i) => aggregates.change(write(1, head(2, `second ${i}`)))));
    expect(second.length).toBe(1);
    const read = await aggregates.read({ key, sure: true });
    expect(read.head?.body).toBe(`second ${second[0]}`);
  });

  test("of many that change one version of a row, one does", async ({ aggregates }) => {
    await aggregates.change(write(null, head(1), [row("t:a", null, 1), row("t:b", null, 1)]));
    const won = await wins(
      many.map((i) => {
        const next = { version: 2, body: `won by ${i}` };
        const rows = [{ name: "t:a", expected: 1, next }];
        return aggregates.change(
          i % 2 === 0 ? changeRows("any", ...rows) : write(1, head(2), rows),
        );
      }),
    );
    expect(won.length).toBe(1);
    const { rows } = await aggregates.read({ key, rows: ["t:a"], sure: true });
    expect(rows.get("t:a")?.body).toBe(`won by ${won[0]}`);
  });

  test("changes of different rows do not refuse each other", async ({ aggregates }) => {
    await aggregates.change(
      write(
        null,
        head(1),
        many.map((i) => row(`t:${i}`, null, 1)),
      ),
    );
    // Beside each other they may fail for reasons of the database; then they are made again.
    const untilChanged = async (i: number): Promise<string> => {
      for (let tries = 0; tries < 50; tries++) {
        const answer = await aggregates.change(changeRows("open", row(`t:${i}`, 1, 2)));
        if (answer.outcome === "changed") return answer.outcome;
        const { rows } = await aggregates.read({ key, rows: [`t:${i}`], sure: true });
        if (rows.get(`t:${i}`)?.version === 2) return "changed";
      }
      return "never changed";
    };
    expect(new Set(await Promise.all(many.map(untilChanged)))).toEqual(new Set(["changed"]));
  });
}
