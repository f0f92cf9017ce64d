/** What each master says of itself: whether it can keep what Orchy gives it, and how well. */
import type { Redis } from "ioredis";

interface NodeInfo {
  readonly name: string;
  readonly version: string;
  readonly maxmemory: number;
  readonly usedMemory: number;
  readonly policy: string;
  /** `always`, `everysec`, `no`; `snapshots` without a log; `nothing`. */
  readonly persistence: string;
  readonly replicas: number;
}

/** Lines of `name:value`. */
async function readInfo(node: Redis, section: string): Promise<ReadonlyMap<string, string>> {
  const lines = (await node.info(section)).split("\r\n");
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}

/** Hosted servers may refuse CONFIG: then this is unknown. */
async function readSetting(node: Redis, name: string): Promise<string | undefined> {
  const pair = (await node.config("GET", name).catch(() => [])) as string[];
  return pair[1];
}

export async function readMemory(node: Redis): Promise<{ used: number; max: number }> {
  const memory = await readInfo(node, "memory");
  return { used: Number(memory.get("used_memory")), max: Number(memory.get("maxmemory")) };
}

export async function readNodeInfo(node: Redis): Promise<NodeInfo> {
  const memory = await readInfo(node, "memory");
  const keepsLog = (await readInfo(node, "persistence")).get("aof_enabled") === "1";
  const save = await readSetting(node, "save");
  const withoutLog = save === "" ? "nothing" : "snapshots";
  return {
    name: `${node.options.host}:${node.options.port}`,
    version: (await readInfo(node, "server")).get("redis_version") ?? "0",
    maxmemory: Number(memory.get("maxmemory")),
    usedMemory: Number(memory.get("used_memory")),
    policy: memory.get("maxmemory_policy") ?? "unknown",
    persistence: keepsLog ? ((await readSetting(node, "appendfsync")) ?? "everysec") : withoutLog,
    replicas: Number((await readInfo(node, "replication")).get("connected_slaves")),
  };
}

const versionMin = 7;

/** Why this server cannot be used, in one sentence; undefined when it can. */
export function objection(info: NodeInfo): string | undefined {
  const { name, version, policy, persistence, replicas } = info;
  if (Number.parseInt(version, 10) < versionMin) {
    return `Redis at ${name} is of version ${version}; Orchy needs ${versionMin} or newer.`;
  }
  if (policy !== "noeviction") {
    return (
      `Redis at ${name} may evict data (maxmemory-policy ${policy}); ` +
      "set maxmemory-policy to noeviction."
    );
  }
  if (persistence === "nothing" && replicas === 0) {
    return (
      `Redis at ${name} keeps nothing on disk and has no replica; ` +
      "set appendonly to yes, and appendfsync to always or everysec."
    );
  }
  return undefined;
}

/** From the best to the worst. */
const durabilities: readonly (readonly [persistence: string, sentence: string])[] = [
  ["always", "What is acknowledged is on the disk of Redis (appendfsync always)"],
  [
    "everysec",
    "What is acknowledged is in the log of Redis; a crash of its machine may lose about the last " +
      "second (appendfsync everysec)",
  ],
  [
    "no",
    "What is acknowledged is in the log of Redis; a crash of its machine loses what the system " +
      "has not yet written (appendfsync no)",
  ],
  ["snapshots", "A crash of Redis loses what came after its last snapshot (appendonly no)"],
  ["nothing", "Redis keeps nothing on disk: only its replicas survive a crash"],
];

/** As good as the worst of the servers. */
export function durabilityOf(all: readonly NodeInfo[]): string {
  const known = durabilities.map(([persistence]) => persistence);
  const worst = Math.max(...all.map(({ persistence }) => known.indexOf(persistence)));
  const sentence = durabilities[worst]?.[1] ?? "The durability of Redis is unknown";
  return all.some(({ replicas }) => replicas > 0)
    ? `${sentence}; a failover to a replica may lose what it had not yet received.`
    : `${sentence}.`;
}
