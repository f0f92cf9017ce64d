/** The table of kinds, and that what comes with a new kind is not forgotten. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Kind,
  kindList,
  kinds,
  systemKinds,
  systemNames,
} from "../../src/language/kinds/table.ts";
import { randomKinds } from "../support/random-workflow.ts";

const language = readFileSync(join(import.meta.dirname, "..", "..", "docs", "language.md"), "utf8");

describe.each(kindList)("%s", (kind) => {
  test("what its rules name are fields of it", () => {
    const { fields, required = [], either = [], script } = kinds[kind];
    const names = fields.map(([name]) => name);
    expect(new Set(names).size).toBe(names.length);
    const named = [...required, ...either, ...(script === undefined ? [] : [script])];
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
  });
});

test("no two kinds have the same name, and all names are in lower case", () => {
  const aliases = systemKinds.flatMap((kind) => kinds[kind].aliases ?? []);
  expect(systemNames).toEqual([...systemKinds, ...aliases]);
  expect(systemNames.map((name) => name.toLowerCase())).toEqual([...new Set(systemNames)]);
});

/** Kinds that random workflows leave out, each with the reason why. */
const leftOut: ReadonlyMap<Kind, string> = new Map([
  ["http", "to the engine it is a user action, and to other servers nobody is there to be called"],
  ["workflow", "its children are executions of their own: the simulator runs them"],
  ["loop", "its rounds are executions of their own: the simulator runs them"],
  ["signal", "it needs others that it can send to: test/server/signals.test.ts"],
  ["terminate", "most workflows would end before much of them has run"],
]);

test("random workflows have actions of every kind", () => {
  const random = new Set<string>(randomKinds);
  expect(kindList.filter((kind) => !random.has(kind) && !leftOut.has(kind))).toEqual([]);
});

test.each(kindList.filter((kind) => kind !== "user"))("docs/language.md describes %s", (kind) => {
  expect(language).toContain(`\n### ${kind}\n`);
});
