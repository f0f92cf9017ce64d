/** What a Redis URL names: one server, a cluster, or a master that sentinels know. */
import { type NodeAddress, readCredentials, readNode } from "../kit/node-address.ts";

export interface RedisAddress {
  readonly kind: "single" | "cluster" | "sentinel";
  /** The server; some nodes of the cluster; the sentinels. */
  readonly nodes: readonly [NodeAddress, ...NodeAddress[]];
  /** The name that the sentinels know the master by. */
  readonly master?: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
}

const kinds: Readonly<Record<string, { kind: RedisAddress["kind"]; port: number }>> = {
  redis: { kind: "single", port: 6379 },
  "redis-cluster": { kind: "cluster", port: 6379 },
  "redis-sentinel": { kind: "sentinel", port: 26_379 },
};

/** Returns the end of a sentence that begins with the URL; the URL itself may hold a password. */
export function parseRedisUrl(url: string): RedisAddress | { readonly problem: string } {
  const [, scheme = "", rest = ""] = /^([a-z-]+):\/\/(.*)$/s.exec(url) ?? [];
  const tls = scheme.startsWith("rediss");
  const kind = kinds[tls ? scheme.replace("rediss", "redis") : scheme];
  if (kind === undefined) return { problem: "is no Redis URL" };
  const at = rest.lastIndexOf("@");
  const credentials = readCredentials(rest.slice(0, Math.max(0, at)));
  if (credentials === undefined) return { problem: "has a broken escape in its user or password" };
  const [nodesText = "", path = "", ...more] = rest.slice(at + 1).split("/");
  const nodes = nodesText.split(",").map((text) => readNode(text, kind.port));
  const [first, ...others] = nodes;
  if (first === undefined || !nodes.every((node) => node !== undefined)) {
    return {
      problem: "must name host:port, with a port from 1 to 65535, and commas between several",
    };
  }
  if (kind.kind === "single" && others.length > 0) {
    return { problem: "names several hosts; for a cluster write redis-cluster://" };
  }
  if (kind.kind === "sentinel" && !/^[A-Za-z0-9._-]+$/.test(path)) {
    return { problem: "must end with /<name of the master> behind its sentinels" };
  }
  const hasPath =
    kind.kind === "sentinel" ? more.length > 0 : more.length > 0 || !/^0?$/.test(path);
  if (hasPath) {
    return { problem: "must use database 0; --namespace keeps installations apart" };
  }
  return {
    kind: kind.kind,
    nodes: [first, ...(others as NodeAddress[])],
    tls,
    ...credentials,
    ...(kind.kind === "sentinel" && { master: path }),
  };
}
