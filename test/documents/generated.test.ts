/** What the documents say of flags, limits, metrics and error codes is what the code says. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readDocuments } from "../../scripts/documents/tables.ts";
import { errorKinds, failureKinds } from "../../src/base/errors.ts";

const root = join(import.meta.dirname, "..", "..");

test("the tables of docs/ are up to date: else run npm run generate", async () => {
  const documents = await readDocuments();
  const generated = documents.filter(({ text }) => text.includes("<!-- generated:"));
  const names = generated.map(({ path }) => basename(path));
  for (const name of ["configuration", "errors", "http-api", "limits", "metrics"]) {
    expect(names).toContain(`${name}.md`);
  }
  for (const { text, wanted } of generated) expect(text).toBe(wanted);
});

test("every code with which Orchy fails an action is listed, and no other", () => {
  const folders = [
    "engine",
    "http",
    "language",
    "model",
    "runtime",
    "sandbox",
    "worker",
    "api/rpc",
  ];
  const found = new Set<string>();
  for (const room of folders) {
    const folder = join(root, "src", room);
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const text = readFileSync(join(folder, name), "utf8");
      const codes = /\bcode(?::|\s*=)[^;}\n]*?"([A-Z]+_?[A-Z_]+)"/g;
      const faults = /\bnew HttpFault\(\s*"([A-Z_]+)"/g;
      for (const pattern of [codes, faults]) {
        for (const [, code] of text.matchAll(pattern)) found.add(code!);
      }
    }
  }
  for (const code of Object.keys(errorKinds)) {
    if (!(code in failureKinds)) found.delete(code);
  }
  expect([...found].sort()).toEqual(Object.keys(failureKinds).sort());
});
