/** The shape of src: imports point down only, without cycles, and no file is dead. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const source = join(import.meta.dirname, "..", "src");

/** From the top down; the parts of one level know nothing of each other. */
const levels: readonly (readonly string[])[] = [
  ["main"],
  ["server"],
  ["api"],
  ["runtime"],
  ["engine", "store", "queue", "sandbox"],
  ["language"],
  ["model"],
];
/** The folders of some parts, likewise from the top down. */
const folders: Readonly<Record<string, readonly (readonly string[])[]>> = {
  runtime: [
    ["runtime.ts"],
    ["options.ts"],
    ["inner", "loops", "sources"],
    ["services"],
    ["reporting"],
    ["driving"],
    ["catalogue", "dispatch"],
    ["peers"],
    ["shared"],
  ],
  store: [
    ["open.ts", "metered.ts", "copy"],
    ["memory", "sqlite", "redis", "postgres", "dynamodb", "cassandra"],
    ["records"],
    ["facets.ts", "kit"],
    ["store.ts"],
    ["contract"],
  ],
  engine: [
    ["decide.ts"],
    ["fork.ts"],
    ["operations", "repair.ts"],
    ["causes.ts", "close.ts", "invariants.ts", "signals.ts", "timeout.ts", "waits.ts"],
    ["actions"],
    ["decision"],
    ["stored"],
  ],
  language: [["check", "plan.ts", "user-rules.ts"], ["graph.ts", "kinds"], ["readers"], ["data"]],
};
/** Below all of these, and free to use each other. */
const bottom = ["brokers", "aws", "http", "telemetry", "config", "base", "gen"];
/** The worker library is shipped alone. */
const workerMayImport = ["worker", "gen", "base"];
/** What starts a program: no module imports it. */
/** The last one is what `npm run backup` runs. */
const programs = ["main.ts", "worker/index.ts", "store/sqlite/backup.ts"];
/** What the next stores and brokers are built on; each leaves this list with its first use. */
const underWay: readonly string[] = [];

const impure =
  /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.|crypto\.|set(?:Timeout|Interval|Immediate)|process\.|Bun\.)/g;

interface SourceFile {
  /** Relative to src. */
  readonly path: string;
  /** The folder in src, or the file's name without its ending. */
  readonly part: string;
  readonly text: string;
  /** Relative to src: imports (also of types), and files it starts as threads or processes. */
  readonly imports: readonly string[];
}

const importPattern =
  /\bfrom\s*"(\.[^"]+)"|\bimport\s*\(?\s*"(\.[^"]+)"|\bnew URL\(\s*"(\.[^"]+)"|\bimport\.meta\.dir(?:name)?\}\/([^`"]+\.ts)/g;

function readSources(): ReadonlyMap<string, SourceFile> {
  const files = new Map<string, SourceFile>();
  const entries = readdirSync(source, { recursive: true, encoding: "utf8" });
  for (const path of entries.filter((entry) => entry.endsWith(".ts"))) {
    const text = readFileSync(join(source, path), "utf8");
    const imports = [...text.matchAll(importPattern)].map((match) => {
      const specifier = match[1] ?? match[2] ?? match[3] ?? match[4]!;
      return relative(source, join(source, dirname(path), specifier));
    });
    const part = path.split("/")[0]!.replace(/\.ts$/, "");
    files.set(path, { path, part, text, imports: [...new Set(imports)] });
  }
  return files;
}

const files = readSources();

function sourceImports({ imports }: SourceFile): SourceFile[] {
  return imports.flatMap((path) => files.get(path) ?? []);
}

function levelOf(part: string): number {
  const level = levels.findIndex((parts) => parts.includes(part));
  return level >= 0 ? level : bottom.includes(part) ? levels.length : -1;
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (from === "worker") return workerMayImport.includes(to);
  const [fromLevel, toLevel] = [levelOf(from), levelOf(to)];
  if (fromLevel === levels.length && toLevel === levels.length) return true;
  return fromLevel >= 0 && fromLevel < toLevel;
}

function findCycle(): readonly string[] {
  const done = new Set<string>();
  const path: string[] = [];
  function visit(file: SourceFile): readonly string[] {
    const start = path.indexOf(file.path);
    if (start >= 0) return [...path.slice(start), file.path];
    if (done.has(file.path)) return [];
    path.push(file.path);
    for (const imported of sourceImports(file)) {
      const cycle = visit(imported);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(file.path);
    return [];
  }
  for (const file of files.values()) {
    const cycle = visit(file);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

describe("src", () => {
  test("is read as the compiler reads it: no import is missed", () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    const missed: string[] = [];
    for (const file of files.values()) {
      for (const { path } of transpiler.scanImports(file.text)) {
        if (!path.startsWith(".")) continue;
        const imported = relative(source, join(source, dirname(file.path), path));
        if (!file.imports.includes(imported)) missed.push(`${file.path} imports ${imported}`);
      }
    }
    expect(missed).toEqual([]);
    expect(files.size).toBeGreaterThan(50);
  });

  test("has only parts whose place is known", () => {
    const parts = new Set([...files.values()].map(({ part }) => part));
    const unknown = [...parts].filter((part) => part !== "worker" && levelOf(part) < 0);
    expect(unknown).toEqual([]);
  });

  test("imports point down", () => {
    const wrong: string[] = [];
    for (const file of files.values()) {
      for (const imported of sourceImports(file)) {
        if (!mayImport(file.part, imported.part))
          wrong.push(`${file.path} imports ${imported.path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(Object.entries(folders))("the folders of %s import down", (part, levels) => {
    const folderOf = ({ path }: SourceFile) => path.split("/")[1]!;
    const level = (file: SourceFile) => levels.findIndex((some) => some.includes(folderOf(file)));
    const inPart = [...files.values()].filter((file) => file.part === part);
    expect(inPart.filter((file) => level(file) < 0)).toEqual([]);
    const wrong: string[] = [];
    for (const file of inPart) {
      for (const imported of sourceImports(file)) {
        if (imported.part !== part || folderOf(file) === folderOf(imported)) continue;
        if (level(file) >= level(imported)) wrong.push(`${file.path} imports ${imported.path}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("has no cycle of imports", () => {
    expect(findCycle()).toEqual([]);
  });

  test("has no file that no program reaches", () => {
    const reached = new Set<string>();
    function reach(path: string): void {
      const file = files.get(path);
      if (file === undefined || reached.has(path)) return;
      reached.add(path);
      for (const imported of file.imports) reach(imported);
    }
    for (const program of [...programs, ...underWay]) reach(program);
    expect([...files.keys()].filter((path) => !reached.has(path))).toEqual([]);
  });

  test("engine, language and model take no time, chance or environment from outside", () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    const wrong: string[] = [];
    for (const { path, part, text } of files.values()) {
      if (!["engine", "language", "model"].includes(part)) continue;
      // Without types and comments, which may name what the code must not use.
      const code = transpiler.transformSync(text);
      for (const [word] of code.matchAll(impure)) wrong.push(`${path} uses ${word}`);
      if (/from "node:/.test(code)) wrong.push(`${path} imports from Node.js`);
    }
    expect(wrong).toEqual([]);
  });
});
