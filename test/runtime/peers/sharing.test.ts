/** Which server looks after which partition: evenly, and moved only as far as needed. */
import { describe, expect, test } from "bun:test";
import { preferredServer, Sharing } from "../../../src/runtime/peers/sharing.ts";

const partitions = 64;
const ids = ["01a2-aa", "01a2-ab", "01a2-ac", "01a2-ad"];

function sharesOf(servers: readonly string[]): string[] {
  return Array.from({ length: partitions }, (_, one) => preferredServer(one, servers)!);
}

describe("the preference of a partition", () => {
  test("is the same whoever asks, and in whatever order", () => {
    expect(sharesOf(ids)).toEqual(sharesOf([...ids].reverse()));
    expect(preferredServer(3, [])).toBeUndefined();
  });

  test("is spread over servers whose ids differ by a letter", () => {
    const shares = sharesOf(ids);
    for (const id of ids) {
      const count = shares.filter((share) => share === id).length;
      expect(count).toBeGreaterThan(partitions / ids.length / 2);
      expect(count).toBeLessThan((partitions / ids.length) * 2);
    }
  });

  test("changes only where a server came or went", () => {
    const before = sharesOf(ids);
    const after = sharesOf(ids.slice(0, 3));
    for (const [partition, server] of before.entries()) {
      if (server !== ids[3]) expect(after[partition]).toBe(server);
    }
  });
});

test("a server hears which partitions it gains when others go", () => {
  const gained: number[] = [];
  const sharing = new Sharing(partitions, (partition) => gained.push(partition));
  sharing.update(ids[0]!, ids);
  const own = sharesOf(ids).filter((server) => server === ids[0]).length;
  expect(gained.length).toBe(own);
  sharing.update(ids[0]!, ids);
  expect(gained.length).toBe(own);
  sharing.update(ids[0]!, ids.slice(0, 1));
  expect([...gained].sort((a, b) => a - b)).toEqual(
    Array.from({ length: partitions }, (_, i) => i),
  );
  expect(sharing.prefers(17)).toBe(true);
  sharing.update(ids[0]!, ids);
  expect(sharesOf(ids).every((server, one) => sharing.prefers(one) === (server === ids[0]))).toBe(
    true,
  );
});
