/** The memory store keeps the contract, and facets of it do alone. */
import { describe, expect, test } from "bun:test";
import { MemoryDocuments } from "../../src/store/memory/documents.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { MemoryServers } from "../../src/store/memory/servers.ts";
import type { Store } from "../../src/store/store.ts";
import { hooked } from "../server/unsure-store.ts";
import { storeConformance } from "./conformance.ts";
import { runDifferential } from "./differential/differential.ts";

const cleanUp = async () => {};

storeConformance("the memory store", async (options) => ({
  store: new MemoryStore(options),
  cleanUp,
}));

storeConformance(
  "a store that has documents only",
  async () => ({ store: new MemoryDocuments(), cleanUp }),
  { facets: ["documents"] },
);

test("a store that has documents only is compared by them", async () => {
  const facets = ["documents"] as const;
  const reached = new Set<string>();
  for (const seed of [1, 2, 3]) {
    await runDifferential({
      seed,
      operations: 150,
      together: 1,
      partitions: 1,
      smallLimits: true,
      facets,
      reference: new MemoryStore({ partitions: 1 }),
      others: [new MemoryDocuments() as Partial<Store> as Store],
      reached,
    });
  }
  expect([...reached].sort()).toEqual(["putDocument conflict", "putDocument saved"]);
});

describe("a store that claims roughly in order", () => {
  const compare = async (claimOrder: "strict" | "roughly") => {
    for (const seed of [1, 2, 3, 4]) {
      const other = hooked(new MemoryStore({ partitions: 2 }), {
        claimTasks: async (claim, _count, request) => {
          const answer = await claim(request);
          return { ...answer, tasks: answer.tasks.toReversed() };
        },
      });
      await runDifferential({
        seed,
        operations: 300,
        together: 1,
        partitions: 2,
        smallLimits: true,
        claimOrder,
        reference: new MemoryStore({ partitions: 2 }),
        others: [other],
        reached: new Set(),
      });
    }
  };

  test("is compared by what it claims, not by its order", async () => {
    await compare("roughly");
  });

  test("does not pass for a strict one", async () => {
    await expect(compare("strict")).rejects.toThrow("Stores differ");
  });
});

test("a store that counts no further is compared by its lower bounds, and by them", async () => {
  const compare = async (counted: (queued: number) => number) => {
    const other = hooked(new MemoryStore({ partitions: 1 }), {
      queueStats: async (read, _count, request) =>
        (await read(request)).map(({ queued, leased, ...stats }) => {
          return { ...stats, queued: counted(queued), leased: 0, atLeast: true as const };
        }),
    });
    await runDifferential({
      seed: 1,
      operations: 600,
      together: 1,
      partitions: 1,
      smallLimits: true,
      reference: new MemoryStore({ partitions: 1 }),
      others: [other],
      reached: new Set(),
    });
  };
  await compare((queued) => Math.min(queued, 1));
  await expect(compare((queued) => queued + 1)).rejects.toThrow("Stores differ");
});

storeConformance(
  "a store that has servers only",
  async () => ({ store: new MemoryServers(), cleanUp }),
  { facets: ["servers"] },
);
