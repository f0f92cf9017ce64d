/** The registry of live servers. */
import { expect } from "bun:test";
import { type Test, t0 } from "./subject.ts";

export function serverTests(test: Test): void {
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
}
