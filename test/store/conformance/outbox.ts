/** Messages to other executions. */
import { expect } from "bun:test";
import type { Store } from "../../../src/store/store.ts";
import { idsIn, start, type Test, t0 } from "./subject.ts";

const hideMs = 100;

async function claim(
  store: Store,
  request: { partition: number; claimId: string; now?: number; limit?: number },
) {
  return await store.claimOutbox({ limit: 100, hideMs, now: t0, ...request });
}

function messages(...ids: string[]) {
  return { effects: { messages: ids.map((id) => ({ id, body: `"${id}"` })) } };
}

export function outboxTests(test: Test): void {
  test("a message is given, hidden, given again, and counts its deliveries", async (store) => {
    const { key } = await start(store, "e1", messages("m1"));
    const { partition } = key;
    const message = { key, id: "m1", body: '"m1"' };
    expect(await claim(store, { partition, claimId: "c1" })).toEqual({
      messages: [{ ...message, deliveries: 1 }],
    });
    expect(await claim(store, { partition, claimId: "c2" })).toEqual({
      messages: [],
      nextDue: t0 + hideMs,
    });
    expect(await claim(store, { partition, claimId: "c3", now: t0 + hideMs })).toEqual({
      messages: [{ ...message, deliveries: 2 }],
    });
    expect((await store.holdings(key)).messages).toEqual(["m1"]);
  });

  test("a repeated claim answers the same, and is not another delivery", async (store) => {
    const { key } = await start(store, "e1", messages("m1", "m2", "m3"));
    const { partition } = key;
    const first = await claim(store, { partition, claimId: "c1", limit: 2 });
    expect(first.nextDue).toBe(t0);
    expect(await claim(store, { partition, claimId: "c1", limit: 2 })).toEqual(first);
    await store.ackOutbox({ partition, messages: [{ key, id: "m1" }] });
    const again = await claim(store, { partition, claimId: "c1", limit: 2 });
    expect(again.messages).toMatchObject([{ id: "m2", deliveries: 1 }]);
  });

  test("a repeated claim counts what another claim took since among what is to come", async (store) => {
    const { key } = await start(store, "e1", messages("m1", "m2"));
    const { partition } = key;
    const now = t0 + hideMs;
    await claim(store, { partition, claimId: "c1" });
    await claim(store, { partition, claimId: "c2", limit: 1, now });
    expect(await claim(store, { partition, claimId: "c1", now })).toMatchObject({
      messages: [{ id: "m2", deliveries: 1 }],
      nextDue: now + hideMs,
    });
  });

  test("delivered messages are gone; unknown ones are ignored", async (store) => {
    const { key } = await start(store, "e1", messages("m1", "m2"));
    const { partition } = key;
    const unknown = { key: { partition, id: "nobody" }, id: "m1" };
    const acked = [{ key, id: "m1" }, { key, id: "m9" }, unknown];
    await store.ackOutbox({ partition, messages: acked });
    await store.ackOutbox({ partition, messages: acked });
    expect((await store.holdings(key)).messages).toEqual(["m2"]);
    const { messages: left } = await claim(store, { partition, claimId: "c1" });
    expect(left).toMatchObject([{ id: "m2" }]);
  });

  test("messages of one source stay in order, even when a delivery fails", async (store) => {
    const e = await start(store, "e1", messages("m1"));
    const { key } = e;
    const { partition } = key;
    await claim(store, { partition, claimId: "c1" });
    await e.commit({ messages: [{ id: "m2", body: "1" }], now: t0 + 10 });
    const blocked = await claim(store, { partition, claimId: "c2", now: t0 + 10 });
    expect(blocked).toEqual({ messages: [], nextDue: t0 + hideMs });
    const both = await claim(store, { partition, claimId: "c3", now: t0 + hideMs });
    expect(both.messages).toMatchObject([
      { id: "m1", deliveries: 2 },
      { id: "m2", deliveries: 1 },
    ]);
  });

  test("an acknowledged message lets the next one through at once", async (store) => {
    const e = await start(store, "e1", messages("m1"));
    const { key } = e;
    const { partition } = key;
    await claim(store, { partition, claimId: "c1" });
    await e.commit({ messages: [{ id: "m2", body: "1" }], now: t0 + 10 });
    await store.ackOutbox({ partition, messages: [{ key, id: "m1" }] });
    const next = await claim(store, { partition, claimId: "c2", now: t0 + 10 });
    expect(next.messages).toMatchObject([{ id: "m2", deliveries: 1 }]);
  });

  test("a source that waits does not stop the others", async (store) => {
    const [one, two] = idsIn(1, 2) as [string, string];
    const a = await start(store, one, messages("m1"));
    await claim(store, { partition: 1, claimId: "c1" });
    await a.commit({ messages: [{ id: "m2", body: "1" }], now: t0 });
    const b = await start(store, two, messages("m1"));
    const { messages: given, nextDue } = await claim(store, { partition: 1, claimId: "c2" });
    expect(given).toMatchObject([{ key: b.key, id: "m1" }]);
    expect(nextDue).toBe(t0 + hideMs);
    expect(await claim(store, { partition: 0, claimId: "c3" })).toEqual({ messages: [] });
  });

  test("a source that waits with very many does not stop the others either", async (store) => {
    const [one, two] = idsIn(1, 2) as [string, string];
    const a = await start(store, one, messages("m0"));
    await claim(store, { partition: 1, claimId: "c1" });
    const sent = Array.from({ length: 1_500 }, (_, i) => ({ id: `n${i}`, body: "1" }));
    await a.commitAll(sent, (some) => ({ messages: some }));
    const b = await start(store, two, messages("m1"));
    const { messages: given } = await claim(store, { partition: 1, claimId: "c2" });
    expect(given).toMatchObject([{ key: b.key, id: "m1" }]);
  });

  test("many messages come out in order, in pieces", async (store) => {
    const ids = Array.from({ length: 250 }, (_, i) => `m${i}`);
    const e = await start(store, "e1");
    await e.commitAll(ids, (some) => messages(...some).effects);
    const { key } = e;
    const { partition } = key;
    const given: string[] = [];
    for (let i = 0; i < 3; i++) {
      const answer = await claim(store, { partition, claimId: `c${i}` });
      given.push(...answer.messages.map((message) => message.id));
      const delivered = answer.messages.map(({ id }) => ({ key, id }));
      await store.ackOutbox({ partition, messages: delivered });
      expect(answer.nextDue).toBe(i < 2 ? t0 : undefined);
    }
    expect(given).toEqual(ids);
  });
}
