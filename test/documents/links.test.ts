/** What the documents name is there: files, headings, commands and their flags. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { describeFlags } from "../../src/config/flags.ts";
import { documents, root } from "./fences.ts";

/** As GitHub makes the anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

function anchorsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8").replace(/^ *```[\s\S]*?^ *```/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));
}

/** Whether a command of package.json has a flag: those of scripts stand in their source. */
function flagsOf(script: string): (flag: string) => boolean {
  if (script === "server") {
    const flags = new Set([
      "--help",
      "--version",
      ...describeFlags().map(({ name }) => `--${name}`),
    ]);
    return (flag) => flags.has(flag);
  }
  const command = (manifest.scripts as Readonly<Record<string, string>>)[script]!;
  const [path] = /(?:scripts|src)\/[\w/-]+\.ts/.exec(
    command.replace(/src\/main\.ts (keys|copy)/, "src/server/$1-command.ts"),
  )!;
  const source = readFileSync(join(root, path), "utf8");
  return (flag) => new RegExp(`["\\s]?${flag.slice(2)}["\\s]?:`).test(source);
}

describe.each(documents.map(({ path, text }) => ({ path, text })))("$path", ({ path, text }) => {
  test("links to what is there", () => {
    const prose = text.replace(/^ *```[\s\S]*?^ *```/gm, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [file = "", anchor] = target!.split("#");
      const linked = file === "" ? path : relative(root, join(root, dirname(path), file));
      expect([target, existsSync(join(root, linked))]).toEqual([target, true]);
      if (anchor !== undefined) expect(anchorsOf(linked)).toContain(anchor);
    }
  });

  test("names files, commands and flags that are there", () => {
    for (const [, file] of text.matchAll(/`((?:src|test|scripts|examples|proto)\/[\w./-]+)`/g)) {
      expect([file, existsSync(join(root, file!))]).toEqual([file, true]);
    }
    for (const [, script] of text.matchAll(/npm run ([\w:-]+)/g)) {
      expect(Object.keys(manifest.scripts)).toContain(script!);
    }
    for (const [, script, options] of text.matchAll(/npm run ([\w:-]+) --((?: [^\s`]+)+)/g)) {
      const known = flagsOf(script!);
      for (const [flag] of options!.matchAll(/(?<=\s)--[\w-]+/g)) {
        expect({ script, flag, isKnown: known(flag) }).toEqual({ script, flag, isKnown: true });
      }
    }
  });
});

test("the README is read in a few minutes", () => {
  expect(readFileSync(join(root, "README.md")).length).toBeLessThanOrEqual(10 * 1024);
});
