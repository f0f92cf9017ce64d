/** Workflows of very many versions: a start reads few of them, and each of them can be read. */
import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import type { WorkflowDefinition } from "../../../src/model/definition.ts";
import { Plans } from "../../../src/runtime/catalogue/plans.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { StoreFault } from "../../../src/store/store.ts";

const count = 10 * limits.versionsPerChunk + 3;
const longest = 2 * limits.versionsPerChunk;

function definition(version: number): WorkflowDefinition {
  const actions = [{ id: "a", type: "user", name: `action-${version}` }];
  return { name: "w", rootAction: "a", actions } as unknown as WorkflowDefinition;
}

async function headOf(store: MemoryStore) {
  const document = await store.getDocument({ kind: "workflow", id: "w" });
  return JSON.parse(document!.body) as { versions: { version: number }[] };
}

async function saveAll(plans: Plans, until = count): Promise<void> {
  for (let version = 1; version <= until; version++) {
    expect(await plans.save(definition(version), version)).toEqual({ version, created: true });
  }
}

async function allVersions(plans: Plans, limit: number): Promise<number[]> {
  const found: number[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await plans.versions("w", { limit, ...(cursor !== undefined && { cursor }) });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items.map(({ version }) => version));
    cursor = page.cursor;
    if (cursor === undefined) return found;
  }
}

async function expectAll(plans: Plans): Promise<void> {
  for (let version = 1; version <= count; version++) {
    const read = await plans.read("w", version);
    expect([read.definition.actions[0], read.savedAt]).toMatchObject([
      { name: `action-${version}` },
      version,
    ]);
    expect((await plans.forStart("w", version)).version).toBe(version);
  }
  for (const version of [0, -1, count + 1]) {
    await expect(plans.read("w", version)).rejects.toThrow(`has no version ${version}`);
  }
  const newestFirst = Array.from({ length: count }, (_, i) => count - i);
  for (const limit of [1, 7, limits.versionsPerChunk, 500]) {
    expect(await allVersions(plans, limit)).toEqual(newestFirst);
  }
}

test("the document that starts read holds the newest versions, chunks the earlier ones", async () => {
  const store = new MemoryStore({ partitions: 1 });
  const plans = new Plans(store);
  await saveAll(plans);
  const { versions } = await headOf(store);
  expect(versions.length).toBeLessThan(longest);
  expect(versions.at(-1)?.version).toBe(count);
  await expectAll(plans);
  expect(await plans.save(definition(count), 0)).toEqual({ version: count, created: false });
  await plans.delete("w", 1);
  await expect(plans.forStart("w", undefined)).rejects.toThrow("There is no workflow w");
  expect((await plans.get("w", 1)).version).toBe(1);
});

test("what older servers read stays in one document, and is shortened after them", async () => {
  const store = new MemoryStore({ partitions: 1 });
  let format = 2;
  const plans = new Plans(store, { written: () => format });
  await saveAll(plans);
  expect((await headOf(store)).versions.length).toBe(count);
  await expectAll(plans);
  format = 3;
  for (let reads = 0; (await headOf(store)).versions.length >= longest; reads++) {
    expect(reads).toBeLessThan(10);
    await plans.forStart("w", undefined);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await expectAll(new Plans(store, { written: () => format }));
});

test("a save that fails between a chunk and the head loses nothing", async () => {
  const store = new MemoryStore({ partitions: 1 });
  const plans = new Plans(store);
  await saveAll(plans, longest - 1);
  const put = store.putDocument.bind(store);
  let isAway = false;
  store.putDocument = async (request) => {
    if (isAway && request.kind === "workflow") throw new StoreFault("not_applied", "away");
    return put(request);
  };
  isAway = true;
  await expect(plans.save(definition(longest), longest)).rejects.toThrow("away");
  isAway = false;
  expect((await headOf(store)).versions.length).toBe(longest - 1);
  // A chunk of a head that the store has lost is written over.
  const id = "w/0";
  const lost = JSON.stringify({ versions: [{ version: 1, hash: "lost", savedAt: 0 }] });
  const chunk = await store.getDocument({ kind: "workflow-version-chunk", id });
  await put({ kind: "workflow-version-chunk", id, body: lost, expectedVersion: chunk!.version });
  for (let version = longest; version <= count; version++) {
    await plans.save(definition(version), version);
  }
  await expectAll(plans);
});
