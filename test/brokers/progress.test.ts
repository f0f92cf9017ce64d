/** What of a partition may be committed, however messages are delivered and acknowledged. */
import { describe, expect, test } from "bun:test";
import { Progress } from "../../src/brokers/kafka/progress.ts";

const at = (offset: bigint, partition = 0) => ({ topic: "t", partition, offset });

function begun(offset = 0n): Progress {
  const progress = new Progress();
  progress.assign([at(offset)]);
  progress.begin(at(offset));
  return progress;
}

describe("the progress of a partition", () => {
  test("only what all before is done with is due", () => {
    const progress = begun();
    for (const offset of [0n, 1n, 2n]) expect(progress.accept(at(offset))).toBe(true);
    progress.done(at(2n));
    expect(progress.due()).toEqual([]);
    progress.done(at(0n));
    expect(progress.due()).toEqual([at(1n)]);
    progress.done(at(1n));
    expect(progress.due()).toEqual([at(3n)]);
    progress.wereCommitted([at(3n)]);
    expect(progress.due()).toEqual([]);
  });

  test("what is delivered again is not accepted again, before its end and after", () => {
    const progress = begun();
    expect(progress.accept(at(0n))).toBe(true);
    progress.done(at(0n));
    expect(progress.accept(at(1n))).toBe(true);
    // A rebalance leaves the partition here: the client goes back to what is committed.
    progress.assign([at(0n)]);
    progress.begin(at(0n));
    expect([progress.accept(at(0n)), progress.accept(at(1n))]).toEqual([false, false]);
    expect(progress.accept(at(2n))).toBe(true);
    progress.done(at(2n));
    expect(progress.due()).toEqual([at(1n)]);
  });

  test("a partition that is lost is forgotten, and what is done of it commits nothing", () => {
    const progress = begun();
    progress.accept(at(0n));
    expect(progress.assign([])).toEqual(["t:0"]);
    progress.done(at(0n));
    expect(progress.due()).toEqual([]);
    expect(progress.accept(at(1n))).toBe(false);
  });

  test("one that comes back begins at what is committed; a client that is ahead goes back", () => {
    const progress = begun(5n);
    expect(progress.accept(at(8n))).toBe(5n);
    expect(progress.accept(at(5n))).toBe(true);
    expect(progress.accept(at(7n))).toBe(true);
  });

  test("a gap at the start that stays is one of the broker's", () => {
    const progress = begun(5n);
    const tries = [1, 2, 3].map(() => progress.accept(at(8n)));
    expect(tries).toEqual([5n, 5n, 5n]);
    expect(progress.accept(at(8n))).toBe(true);
  });
});
