/** Parts: immutable, by name, many of an execution. */
import { expect } from "bun:test";
import { type DriverTest, key, otherKey } from "./driver-suite.ts";

const text = (body: Uint8Array | undefined) => body && new TextDecoder().decode(body);
const part = (name: string, body = name) => ({ name, body: new TextEncoder().encode(body) });

export function partTests(test: DriverTest): void {
  test("parts are read in the order of their names, and dropped", async ({ aggregates }) => {
    const names = ["c1/a/0", "c1/a/1", "c2/ü 😀"];
    await aggregates.putParts(
      key,
      names.map((name) => part(name)),
    );
    const read = async (...wanted: readonly string[]) =>
      (await aggregates.readParts(key, wanted)).map(text);
    expect(await read("c2/ü 😀", "nobody", "c1/a/0")).toEqual(["c2/ü 😀", undefined, "c1/a/0"]);
    expect(await aggregates.readParts(otherKey, names)).toEqual(names.map(() => undefined));
    await aggregates.dropParts(key, ["c1/a/0", "nobody"]);
    expect(await read(...names)).toEqual([undefined, "c1/a/1", "c2/ü 😀"]);
    expect(await read()).toEqual([]);
    await aggregates.dropParts(key, []);
    await aggregates.putParts(key, []);
  });

  test("a part that is put again stays as it is", async ({ aggregates }) => {
    await aggregates.putParts(key, [part("c1/a")]);
    await aggregates.putParts(key, [part("c1/a")]);
    expect((await aggregates.readParts(key, ["c1/a"])).map(text)).toEqual(["c1/a"]);
  });

  test("the largest parts come back whole, several at once", async ({ aggregates, limits }) => {
    const body = new Uint8Array(limits.partBytesMax).map((_, i) => (i * 7919) & 0xff);
    const names = Array.from({ length: 12 }, (_, i) => `c1/a/${i}`);
    await aggregates.putParts(
      key,
      names.map((name) => ({ name, body })),
    );
    for (const read of await aggregates.readParts(key, names)) {
      expect(read !== undefined && Buffer.compare(read, body) === 0).toBe(true);
    }
  });

  test("names are listed in order, by prefix, in pages", async ({ aggregates }) => {
    const numbers = Array.from({ length: 230 }, (_, i) => String(i).padStart(3, "0"));
    const names = numbers.map((number) => `c1/${number}`);
    const others = ["c0/x", "c10/x", "c2/x", "d", "ü", "\uffee", "😀"];
    await aggregates.putParts(
      key,
      [...names, ...others].map((name) => part(name)),
    );
    await aggregates.putParts(otherKey, [part("c1/other")]);
    const list = async (prefix: string | undefined, limit: number) => {
      const listed: string[] = [];
      for (let after: string | undefined; ; after = listed.at(-1)) {
        const page = await aggregates.listParts({
          key,
          limit,
          ...(prefix !== undefined && { prefix }),
          ...(after !== undefined && { after }),
        });
        expect(page.length).toBeLessThanOrEqual(limit);
        listed.push(...page);
        if (page.length < limit) return listed;
      }
    };
    expect(await list("c1/", 100)).toEqual(names);
    expect(await list("c1/22", 3)).toEqual(names.slice(220));
    expect(await list("nobody", 9)).toEqual([]);
    expect(await list(undefined, 57)).toEqual(
      ["c0/x", ...names, ...others.slice(1)].toSorted((a, b) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      ),
    );
    await aggregates.dropParts(key, names);
    expect(await list("c1/", 100)).toEqual([]);
    expect((await aggregates.listParts({ key: otherKey, limit: 9 })).length).toBe(1);
  });
}
