/** What stores share besides the rules of tasks: pages, the outbox, heads, documents. */
import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { putDocument } from "../../../src/store/kit/documents.ts";
import { keptStart, withCommitId } from "../../../src/store/kit/heads.ts";
import { pageOf } from "../../../src/store/kit/lists.ts";
import { claimableMessages } from "../../../src/store/kit/outbox.ts";
import type { Listing } from "../../../src/store/store.ts";

function listing(startedAt: number, workflow = "x"): Listing {
  return { id: `e${startedAt}`, workflow, version: 1, status: "RUNNING", startedAt };
}

describe("a page of a list", () => {
  const rows = [listing(5), listing(4, "y"), listing(3), listing(2, "y"), listing(1)];
  const page = (request: object, isWhole = true) => {
    const { items, ...rest } = pageOf(rows, { partition: 0, limit: 9, ...request }, { isWhole });
    return { starts: items.map(({ startedAt }) => startedAt), ...rest };
  };

  test("ends where it is full, and says where it goes on", () => {
    const reached = { startedAt: 4, id: "e4" };
    expect(page({ limit: 2 })).toEqual({ starts: [5, 4], looked: 2, reached });
  });

  test("that took the last row says that nothing follows, unless rows were cut off", () => {
    expect(page({ limit: 5 })).toEqual({ starts: [5, 4, 3, 2, 1], looked: 5 });
    expect(page({ limit: 5 }, false).reached).toEqual({ startedAt: 1, id: "e1" });
  });

  test("of what is filtered ends after as many looks as it may take", () => {
    const reached = { startedAt: 3, id: "e3" };
    expect(page({ limit: 2, lookMax: 3, workflow: "y" })).toEqual({
      starts: [4],
      looked: 3,
      reached,
    });
    expect(page({ limit: 2, lookMax: 9, workflow: "y" }).starts).toEqual([4, 2]);
  });

  test("of nothing is empty", () => {
    expect(pageOf([], { partition: 0, limit: 2 }, { isWhole: false })).toEqual({
      items: [],
      looked: 0,
    });
  });
});

describe("claimable messages", () => {
  const message = (execution: string, visibleAt: number) => ({ execution, visibleAt });
  const claim = (messages: ReturnType<typeof message>[], limit = 9) => {
    const found = claimableMessages(messages, { limit, now: 10, isGiven: () => false });
    return { given: found.claimable.map((one) => messages.indexOf(one)), nextDue: found.nextDue };
  };

  test("a hidden one holds back what its source sent after it, and nobody else's", () => {
    const messages = [message("a", 30), message("a", 0), message("b", 0), message("b", 20)];
    expect(claim(messages)).toEqual({ given: [2], nextDue: 20 });
  });

  test("beyond the limit the next one is due now", () => {
    expect(claim([message("a", 0), message("a", 5)], 1)).toEqual({ given: [0], nextDue: 5 });
  });
});

test("the latest commit ids are kept, oldest first", () => {
  let recent: readonly string[] = [];
  for (let i = 1; i <= limits.commitIdsKept + 3; i++) recent = withCommitId(recent, `c${i}`);
  expect(recent).toHaveLength(limits.commitIdsKept);
  expect([recent[0], recent.at(-1)]).toEqual(["c4", `c${limits.commitIdsKept + 3}`]);
});

test("a tombstone keeps the beginning of a hash, and nothing without one", () => {
  const ended = { status: "COMPLETED", endedAt: 5 } as const;
  const requestHash = "h".repeat(limits.keptHashChars + 9);
  expect(keptStart({ requestHash, ...ended })).toEqual({
    requestHash: "h".repeat(limits.keptHashChars),
    ...ended,
  });
  expect(keptStart({ requestHash: undefined, ...ended })).toBeUndefined();
});

test("a put is written once: against its version, and not again by its repeat", () => {
  const put = { kind: "k", id: "a", body: "1", expectedVersion: 0 };
  const { answer, document } = putDocument(undefined, put);
  expect(answer).toEqual({ outcome: "saved", version: 1 });
  expect(document).toEqual({ id: "a", version: 1, body: "1" });
  expect(putDocument(document, put)).toEqual({ answer });
  const other = putDocument(document, { ...put, body: "2" });
  expect(other).toEqual({ answer: { outcome: "conflict", version: 1 } });
});
