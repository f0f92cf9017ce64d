/** What DynamoDB does at its worst, and its imitation does not: a proxy does it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import type { HeadRecord, RecordsDriver } from "../../../src/store/records/driver.ts";
import { StoreFault } from "../../../src/store/store.ts";
import {
  type AwsProxy,
  failure,
  type ProxiedRequest,
  refusal,
  startAwsProxy,
  type Trouble,
} from "../../support/aws-proxy.ts";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";
import { openEmptyDynamo, scanDynamo } from "../../support/dynamodb.ts";

const startMs = 120_000;
const missing = await ministackMissing();

const key = { partition: 1, id: "e1" };
const head = (version: number, body = `by ${version}`): HeadRecord => ({
  version,
  body,
  closed: false,
});
const write = (expected: number | null, next: HeadRecord, rows: readonly string[] = []) => ({
  key,
  head: { kind: "write", expected, next } as const,
  rows: rows.map((name) => ({ name, expected: null, next: { version: 1, body: name } })),
});
const changed = { outcome: "changed" } as const;
const shelf = { partition: 1, kind: "work", name: "due" } as const;
const hints = Array.from({ length: 30 }, (_, i) => ({
  shelf,
  entry: { place: { at: 1_000 + i, id: "h" }, body: `${i}` },
}));

const reasons = (...codes: readonly string[]) =>
  refusal("TransactionCanceledException", "cancelled", {
    CancellationReasons: codes.map((Code) => ({ Code })),
  });

/** Pauses pass at once; an attempt is given up when the test says so. */
const giveUp: (() => void)[] = [];
let passedMs = 0;
const clock: Clock = {
  now: () => Date.now() + passedMs,
  after(ms, callback) {
    if (ms < 5_000) setImmediate(callback);
    else giveUp.push(callback);
    return () => {};
  },
  soon: systemClock.soon,
};

if (missing !== undefined) test.skip(`faults of DynamoDB (${missing})`, () => {});
else {
  describe("a driver whose DynamoDB", () => {
    let running: Ministack;
    let proxy: AwsProxy;
    let driver: RecordsDriver;
    beforeAll(async () => {
      running = await startMinistack();
      proxy = await startAwsProxy(running.endpoint);
    }, startMs);
    afterAll(async () => {
      proxy.stop();
      await running.stop();
    });
    beforeEach(async () => {
      proxy.trouble = () => undefined;
      driver = await openEmptyDynamo(proxy.endpoint, { clock });
      proxy.requests.length = 0;
    });

    /** The first requests of the operation meet these. */
    function first(operation: string, ...troubles: Trouble[]): void {
      proxy.trouble = (request) => (request.operation === operation ? troubles.shift() : undefined);
    }

    const operations = () => proxy.requests.map(({ operation }: ProxiedRequest) => operation);
    const read = () => driver.aggregates.read({ key, rows: "all", sure: true });

    test("throttles does it all the same", async () => {
      const slow = refusal("ProvisionedThroughputExceededException");
      first("PutItem", slow, slow, slow);
      expect(await driver.aggregates.change(write(null, head(1)))).toEqual(changed);
      expect(operations()).toEqual(["PutItem", "PutItem", "PutItem", "PutItem"]);
    });

    test("throttles for long says that nothing was applied", async () => {
      proxy.trouble = ({ operation }) =>
        operation === "PutItem" ? refusal("ThrottlingException", "slow down") : undefined;
      const error = await driver.aggregates.change(write(null, head(1))).catch((error) => error);
      expect(error).toBeInstanceOf(StoreFault);
      expect(error.outcome).toBe("not_applied");
      expect(error.message).toBe("DynamoDB: PutItem: ThrottlingException: slow down");
      expect((await read()).head).toBeUndefined();
    });

    test("leaves part of a batch undone is sent that part again", async () => {
      const undone = (request: ProxiedRequest, count: number): Trouble => {
        const [[table, items] = ["", []]] = Object.entries<unknown[]>(request.body.RequestItems);
        return { status: 200, body: { UnprocessedItems: { [table]: items.slice(0, count) } } };
      };
      let times = 0;
      proxy.trouble = (request) => {
        if (request.operation !== "BatchWriteItem" || ++times > 2) return undefined;
        return undone(request, 99);
      };
      await driver.shelves.post(hints);
      const { entries } = await driver.shelves.scan({ shelf, limit: 100 });
      expect(entries.map(({ body }) => Number(body))).toEqual(hints.map((_, i) => i));
      expect(operations().filter((one) => one === "BatchWriteItem")).toHaveLength(4);
    });

    test("reports a transaction in the way tries again; with a failed condition it does not", async () => {
      first("TransactWriteItems", reasons("None", "TransactionConflict"));
      const change = write(null, head(1), ["t:a"]);
      expect(await driver.aggregates.change(change)).toEqual(changed);
      first("TransactWriteItems", reasons("ConditionalCheckFailed", "TransactionConflict"));
      expect(await driver.aggregates.change(write(1, head(2), ["t:b"]))).toEqual({
        outcome: "refused",
      });
      expect((await read()).head).toEqual(head(1));
    });

    for (const trouble of ["cut", "failed after", "cut before"] as const) {
      test(`ends a write without a response (${trouble}) writes once`, async () => {
        first("PutItem", trouble);
        expect(await driver.aggregates.change(write(null, head(1)))).toEqual(changed);
        first("PutItem", trouble, trouble);
        expect(await driver.aggregates.change(write(1, head(2)))).toEqual(changed);
        expect((await read()).head).toEqual(head(2));
        first("TransactWriteItems", trouble);
        expect(await driver.aggregates.change(write(2, head(3), ["t:a"]))).toEqual(changed);
        expect((await read()).head).toEqual(head(3));
        expect((await read()).rows.size).toBe(1);
      });
    }

    test("fails without a write is asked again", async () => {
      first("PutItem", failure, failure);
      expect(await driver.aggregates.change(write(null, head(1)))).toEqual(changed);
      expect((await read()).head).toEqual(head(1));
    });

    test.each(["cut", "cut before"] as const)(
      "ends a write (%s), and another one comes before its repeat: that is found",
      async (trouble) => {
        await driver.aggregates.change(write(null, head(1)));
        const rival = await openEmptyDynamo(running.endpoint, { namespace: namespaceOf(proxy) });
        let times = 0;
        proxy.trouble = async ({ operation }) => {
          if (operation !== "PutItem") return undefined;
          times += 1;
          if (times === 1) return trouble;
          if (times > 2) return undefined;
          const seen = trouble === "cut" ? 5 : 1;
          expect(await rival.aggregates.change(write(seen, head(seen + 1)))).toEqual(changed);
          return undefined;
        };
        const answer = await driver.aggregates.change(write(1, head(5)));
        const found = { head: head(trouble === "cut" ? 6 : 2), rows: new Map() };
        expect(answer).toEqual({ outcome: "refused", found });
      },
    );

    test("ends a deletion without a response leaves it open", async () => {
      await driver.aggregates.change(write(null, head(1)));
      first("DeleteItem", "cut");
      const change = { key, head: { kind: "delete", expected: 1 } as const, rows: [] };
      const error = await driver.aggregates.change(change).catch((error) => error);
      expect(error).toBeInstanceOf(StoreFault);
      expect(error.outcome).toBe("unknown");
      expect((await read()).head).toBeUndefined();
    });

    test("is silent is given up, and asked again over another connection", async () => {
      first("PutItem", "silent");
      const changing = driver.aggregates.change(write(null, head(1)));
      while (proxy.requests.length === 0) await Bun.sleep(1);
      passedMs += 5_000;
      for (const end of giveUp) end();
      expect(await changing).toEqual(changed);
      expect((await read()).head).toEqual(head(1));
    });

    test("lags is read consistently, always", async () => {
      const { aggregates, shelves, documents, servers } = driver;
      await aggregates.readHeads([key]);
      await aggregates.read({ key, rows: ["t:a"] });
      await read();
      await aggregates.readParts(key, ["p"]);
      await aggregates.listParts({ key, limit: 1 });
      await shelves.scan({ shelf, limit: 1 });
      await shelves.count({ shelf, max: 1 });
      await documents.getDocument({ kind: "k", id: "d" });
      await documents.listDocuments({ kind: "k", limit: 1 });
      await servers.listServers({ now: 0 });
      expect(proxy.requests.length).toBe(10);
      for (const { body } of proxy.requests) {
        const [table = body] = Object.values<{ ConsistentRead?: boolean }>(body.RequestItems ?? {});
        expect(table.ConsistentRead).toBe(true);
      }
    });

    test("takes no empty key is not asked for one", async () => {
      const { documents } = driver;
      expect(await documents.getDocument({ kind: "workflow", id: "" })).toBeUndefined();
      expect(await documents.deleteDocument({ kind: "workflow", id: "" })).toBe(false);
      expect(await documents.listDocuments({ kind: "workflow", limit: 9 })).toEqual([]);
    });

    test("takes a large document in pieces, and keeps none of an old one", async () => {
      const { documents } = driver;
      const place = { kind: "workflow", id: "large" };
      const random = () =>
        Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("base64");
      const large = () => Array.from({ length: 25 }, random).join("");
      const body = large();
      expect(body.length).toBeGreaterThan(1_900_000);
      first("PutItem", "cut");
      const saved = await documents.putDocument({ ...place, body, expectedVersion: 0 });
      expect(saved).toEqual({ outcome: "saved", version: 1 });
      expect((await documents.getDocument(place))?.body === body).toBe(true);
      const again = await documents.putDocument({ ...place, body, expectedVersion: 0 });
      expect(again).toEqual(saved);
      const lost = await documents.putDocument({ ...place, body: large(), expectedVersion: 0 });
      expect(lost).toEqual({ outcome: "conflict", version: 1 });
      const other = large();
      await documents.putDocument({ ...place, body: other, expectedVersion: 1 });
      const [listed] = await documents.listDocuments({ kind: "workflow", limit: 9 });
      expect(listed?.version === 2 && listed.body === other).toBe(true);
      expect(await documents.deleteDocument(place)).toBe(true);
      const left = (await scanDynamo(running.endpoint)).filter(({ pk }) => pk.includes("/c/"));
      expect(left).toEqual([]);
    });
  });
}

/** Of the store that wrote last. */
function namespaceOf({ requests }: AwsProxy): string {
  return requests.at(-1)!.body.Item.pk.S.split("/")[0];
}
