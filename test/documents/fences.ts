/** The documents of the project, and the examples in them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

export interface Fence {
  readonly language: string;
  readonly text: string;
  readonly line: number;
  /** The last file name in the text before it, in backticks. */
  readonly file: string | undefined;
}

export interface Document {
  /** Relative to the project. */
  readonly path: string;
  readonly text: string;
  readonly fences: readonly Fence[];
}

export const documents: readonly Document[] = [
  "README.md",
  "CONTRIBUTING.md",
  "src/worker/README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name))
    .sort(),
].map((path) => {
  const text = readFileSync(join(root, path), "utf8");
  return { path, text, fences: fencesOf(text) };
});

export function documentAt(path: string): Document {
  return documents.find((document) => document.path === path)!;
}

function fencesOf(text: string): Fence[] {
  const fences: Fence[] = [];
  const pattern = /^( *)```(\w*)\n([\s\S]*?)^ *```$/gm;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const [whole, indent, language, body] = match;
    const before = text.slice(end, match.index);
    end = match.index + whole.length;
    fences.push({
      language: language!,
      text: body!.replace(new RegExp(`^${indent}`, "gm"), ""),
      line: text.slice(0, match.index).split("\n").length,
      file: [
        ...before.matchAll(/`((?:test\/interop\/brokers\/)?[\w-]+\.(?:json|ts|mjs|py|java))`/g),
      ].at(-1)?.[1],
    });
  }
  return fences;
}
