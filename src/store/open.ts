/** Opens the store that a URL names. */
import { limits } from "../base/limits.ts";
import type { ClientTls } from "../config/tls.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { MemoryStore } from "./memory/memory-store.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";
import type { Store } from "./store.ts";

interface OpenOptions {
  /** Absent: as the namespace was created, or the default of its kind of store. */
  readonly partitions?: number;
  /** Keeps the records of one installation apart from others'. */
  readonly namespace: string;
  /** For a store that is reached over TLS. */
  readonly tls?: ClientTls;
  /** Absent: that of AWS in the region. */
  readonly dynamodbEndpoint?: string;
  /** Called with what an operator should know. */
  readonly log?: Logger;
  /** Where a store that bills its requests counts them. */
  readonly metrics?: Metrics;
}

const known =
  "use sqlite:PATH for one server, redis://HOST:PORT, postgres://…, dynamodb://REGION/TABLE or " +
  "cassandra://… for several, or memory: for trials";

/** Throws a plain Error of one sentence when the URL, or what it names, cannot be used. */
export async function openStore(url: string, options: OpenOptions): Promise<Store> {
  const colon = url.indexOf(":");
  const scheme = url.slice(0, Math.max(0, colon));
  const rest = url.slice(colon + 1);
  switch (scheme) {
    case "memory":
      if (rest !== "") throw new Error("The store memory: takes no path.");
      return new MemoryStore({
        partitions: options.partitions ?? limits.partitionsEmbeddedDefault,
      });
    case "sqlite":
      if (rest === "") throw new Error("The store sqlite: names no file; write sqlite:PATH.");
      return openSqliteStore({ path: rest, ...options });
    case "redis":
    case "rediss":
    case "redis-cluster":
    case "rediss-cluster":
    case "redis-sentinel":
    case "rediss-sentinel": {
      // Servers on other stores need not load its client.
      const { openRedisStore } = await import("./redis/open.ts");
      return await openRedisStore(url, options);
    }
    case "postgres":
    case "postgresql": {
      const { openPostgresStore } = await import("./postgres/open.ts");
      return await openPostgresStore(url, options);
    }
    case "dynamodb": {
      const { openDynamoStore } = await import("./dynamodb/open.ts");
      return await openDynamoStore(url, options);
    }
    case "cassandra": {
      const { openCassandraStore } = await import("./cassandra/open.ts");
      return await openCassandraStore(url, options);
    }
    default:
      // The rest of the URL may hold a password.
      throw new Error(`There is no store of the kind "${scheme}"; ${known}.`);
  }
}
