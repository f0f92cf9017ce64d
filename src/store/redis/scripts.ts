/** The scripts of this folder, each one operation of the store, with what they include. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const scriptNames = [
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
  "release-tasks",
  "remove",
] as const;

export type ScriptName = (typeof scriptNames)[number];

export interface Script {
  readonly name: ScriptName;
  readonly lua: string;
  readonly sha: string;
  /** It is given a moment, and refuses one that is far from its node's. */
  readonly isTimed: boolean;
}

function read(...path: string[]): string {
  return readFileSync(join(import.meta.dirname, "scripts", ...path), "utf8");
}

/** A line `--@include name` stands for lib/name.lua. */
function readScript(name: ScriptName): Script {
  const text = read(`${name}.lua`);
  const lua = text.replace(/^--@include (\S+)$/gm, (_, included: string) =>
    read("lib", `${included}.lua`).trimEnd(),
  );
  const sha = createHash("sha1").update(lua).digest("hex");
  return { name, lua, sha, isTimed: /^--@include clock$/m.test(text) };
}

/** Read when the first Redis store is opened: servers on other stores have no use for them. */
export function readScripts(): ReadonlyMap<ScriptName, Script> {
  return new Map(scriptNames.map((name) => [name, readScript(name)]));
}
