/**
 * The library of functions that this folder's Lua files make up: each of `scripts/*.lua` is one
 * operation of the store, each of `scripts/lib/*.lua` is a part that others need. See
 * scripts/README.md.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const operationNames = [
  "ack-outbox",
  "beat-server",
  "claim-due",
  "claim-outbox",
  "claim-task",
  "claim-tasks",
  "commit",
  "count-tombstones",
  "create",
  "delete-document",
  "dump-head",
  "dump-rows",
  "extend-leases",
  "get-document",
  "history",
  "holdings",
  "index-executions",
  "leave-server",
  "list",
  "list-documents",
  "list-servers",
  "list-timers",
  "load",
  "put-document",
  "queue-hints",
  "queue-stats",
  "raise-format",
  "read-task",
  "release-tasks",
  "remove",
  "restore",
  "restore-document",
] as const;

export type OperationName = (typeof operationNames)[number];

export interface Operation {
  readonly name: OperationName;
  /** Its name in Redis. */
  readonly functionName: string;
  /** It is given a moment, and refuses one that is far from its node's. */
  readonly isTimed: boolean;
  /** The same as a separate script, for a server that has no room for the library. */
  readonly script: () => string;
}

interface Library {
  /** What FUNCTION LOAD takes. */
  readonly text: string;
  readonly operations: ReadonlyMap<OperationName, Operation>;
}

/** A Lua file: what it says that it needs, and the flags of an operation. */
export interface LuaFile {
  readonly name: string;
  readonly text: string;
  readonly needs: readonly string[];
  readonly flags: readonly string[];
}

const folder = join(import.meta.dirname, "scripts");
/** Digits of the library's digest in its name, so that versions live side by side. */
const digestDigits = 12;

function words(text: string, mark: string): readonly string[] {
  const line = new RegExp(`^--@${mark}(.*)$`, "m").exec(text)?.[1] ?? "";
  return line.split(" ").filter((word) => word !== "");
}

export function readLua(...path: string[]): readonly LuaFile[] {
  return readdirSync(join(folder, ...path))
    .filter((file) => file.endsWith(".lua"))
    .sort()
    .map((file) => {
      const text = readFileSync(join(folder, ...path, file), "utf8").trimEnd();
      const name = file.slice(0, -".lua".length);
      return { name, text, needs: words(text, "needs"), flags: words(text, "flags") };
    });
}

/** Without lines that are comments: every Redis keeps the text. */
function code({ text }: LuaFile): string {
  return text.replace(/^ *--.*\n/gm, "");
}

/** Each part behind those that it needs. */
export function inOrder(parts: readonly LuaFile[]): readonly LuaFile[] {
  const byName = new Map(parts.map((part) => [part.name, part]));
  const ordered = new Set<LuaFile>();
  const add = (name: string, neededBy: readonly string[]) => {
    const part = byName.get(name);
    const path = [...neededBy, name].join(" > ");
    if (part === undefined) throw new Error(`There is no scripts/lib/${name}.lua (${path}).`);
    if (neededBy.includes(name)) throw new Error(`Parts need each other: ${path}.`);
    if (ordered.has(part)) return;
    for (const needed of part.needs) add(needed, [...neededBy, name]);
    ordered.add(part);
  };
  for (const { name } of parts) add(name, []);
  return [...ordered];
}

function register(name: string, functionName: string, flags: readonly string[]): string {
  return [
    "redis.register_function({",
    `  function_name = "${functionName}",`,
    `  flags = { ${flags.map((flag) => `"${flag}"`).join(", ")} },`,
    `  callback = function(keys, arguments) return run("${name}", keys, arguments) end,`,
    "})",
  ].join("\n");
}

/** Read when the first Redis store is opened: servers on other stores have no use for it. */
export function readLibrary(): Library {
  const files = readLua();
  const parts = inOrder(readLua("lib")).map(code);
  const blocks = files.map((file) => `do\n${code(file)}\nend`);
  const body = [...parts, ...blocks].join("\n");
  const digest = createHash("sha1").update(body).digest("hex").slice(0, digestDigits);
  const library = `orchy_${digest}`;
  const operations = operationNames.map((name): Operation => {
    const file = files.find((one) => one.name === name);
    if (file === undefined) throw new Error(`There is no scripts/${name}.lua.`);
    const flags = file.flags.length === 0 ? "" : ` flags=${file.flags.join(",")}`;
    return {
      name,
      functionName: `${library}_${name.replaceAll("-", "_")}`,
      isTimed: file.needs.includes("clock"),
      script: () =>
        `#!lua${flags}\nlocal keys, arguments = KEYS, ARGV\n${body}\n` +
        `return run("${name}", keys, arguments)`,
    };
  });
  const registrations = operations.map(({ name, functionName }) =>
    register(name, functionName, files.find((file) => file.name === name)?.flags ?? []),
  );
  return {
    text: `#!lua name=${library}\n${body}\n${registrations.join("\n")}\n`,
    operations: new Map(operations.map((operation) => [operation.name, operation])),
  };
}
