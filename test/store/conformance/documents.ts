/** Documents: optimistic versions, and lists in order of id. */
import { expect } from "bun:test";
import type { Test } from "./subject.ts";

export function documentTests(test: Test): void {
  const document = { kind: "workflow", id: "orders" };

  test("a document is written against its version", async (store) => {
    expect(await store.getDocument(document)).toBeUndefined();
    const put = (body: string, expectedVersion: number) =>
      store.putDocument({ ...document, body, expectedVersion });
    expect(await put('"a"', 1)).toEqual({ outcome: "conflict", version: 0 });
    expect(await put('"a"', 0)).toEqual({ outcome: "saved", version: 1 });
    expect(await put('"b"', 0)).toEqual({ outcome: "conflict", version: 1 });
    expect(await put('"b"', 1)).toEqual({ outcome: "saved", version: 2 });
    expect(await store.getDocument(document)).toEqual({ id: "orders", version: 2, body: '"b"' });
    expect(await store.getDocument({ ...document, kind: "action" })).toBeUndefined();
  });

  test("a repeated put answers as the first did", async (store) => {
    const put = { ...document, body: "1", expectedVersion: 0 };
    expect(await store.putDocument(put)).toEqual({ outcome: "saved", version: 1 });
    expect(await store.putDocument(put)).toEqual({ outcome: "saved", version: 1 });
    expect(await store.getDocument(document)).toMatchObject({ version: 1 });
  });

  test("of two writers with one version, one is saved", async (store) => {
    const answers = await Promise.all(
      ["1", "2", "3"].map((body) => store.putDocument({ ...document, body, expectedVersion: 0 })),
    );
    const outcomes = answers.map((answer) => answer.outcome).sort();
    expect(outcomes).toEqual(["conflict", "conflict", "saved"]);
  });

  test("a deleted document can be made anew", async (store) => {
    await store.putDocument({ ...document, body: "1", expectedVersion: 0 });
    expect(await store.deleteDocument(document)).toBe(true);
    expect(await store.deleteDocument(document)).toBe(false);
    expect(await store.getDocument(document)).toBeUndefined();
    const again = { ...document, body: "2", expectedVersion: 0 };
    expect(await store.putDocument(again)).toEqual({ outcome: "saved", version: 1 });
  });

  test("documents are listed by kind, in order of id, by prefix, in pieces", async (store) => {
    const ids = ["b/2", "a", "b/10", "b/1", "c", "b", "ü", "😀", "\uffee"];
    for (const id of ids) {
      await store.putDocument({ kind: "k", id, body: `"${id}"`, expectedVersion: 0 });
    }
    await store.putDocument({ kind: "other", id: "b/1", body: "1", expectedVersion: 0 });
    const list = async (more: { prefix?: string; after?: string; limit?: number }) =>
      (await store.listDocuments({ kind: "k", limit: 100, ...more })).map(({ id }) => id);
    const sorted = ["a", "b", "b/1", "b/10", "b/2", "c", "ü", "\uffee", "😀"];
    expect(await list({})).toEqual(sorted);
    expect(await list({ prefix: "b/" })).toEqual(["b/1", "b/10", "b/2"]);
    expect(await list({ prefix: "b/", after: "b/1", limit: 1 })).toEqual(["b/10"]);
    expect(await list({ after: "c", limit: 2 })).toEqual(["ü", "\uffee"]);
    expect(await list({ prefix: "nobody" })).toEqual([]);
    const [first] = await store.listDocuments({ kind: "other", limit: 1 });
    expect(first).toEqual({ id: "b/1", version: 1, body: "1" });
  });
}
