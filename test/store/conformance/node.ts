/** What a store says of itself. */
import { expect } from "bun:test";
import { partitions, type Test } from "./subject.ts";

export function nodeTests(test: Test): void {
  test("a store describes itself", async (store) => {
    expect(store.partitions).toBe(partitions);
    expect(store.traits.name).not.toBe("");
    expect(store.traits.durability).toMatch(/^[A-Z].*\.$/);
    const { used } = await store.pressure();
    expect(used).toBeGreaterThanOrEqual(0);
    expect(used).toBeLessThan(0.5);
  });
}
