/** Opens the PostgreSQL store that a URL names: connects, checks what it found, brings the schema up. */
import { type Clock, type Ids, systemClock, systemIds } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { ClientTls } from "../../config/tls.ts";
import { NodeClock } from "../kit/node-clock.ts";
import type { Traits } from "../store.ts";

import { type PostgresAddress, readAddress } from "./address.ts";
import { connectFault } from "./connect-fault.ts";
import { PostgresLink } from "./link.ts";
import { PostgresStore } from "./postgres-store.ts";
import { prepareSchema } from "./schema.ts";
import { Wakes } from "./wakes.ts";

export interface PostgresOptions {
  /** The schema: keeps installations apart that share a database. */
  readonly namespace: string;
  /** Absent: as the namespace was created; a new one gets limits.partitionsDefault. */
  readonly partitions?: number;
  readonly tls?: ClientTls;
  /** Most at once, besides one for wake-ups; absent: 10. */
  readonly connections?: number;
  /** False: through a pooler no notification comes; absent: that is found out, which takes a moment. */
  readonly notifies?: false;
  readonly clock?: Clock;
  readonly ids?: Ids;
}

const oldestVersion = 14;

interface NodeRow {
  readonly version: number;
  readonly encoding: string;
  readonly isReplica: boolean;
  readonly synchronous: string;
  readonly fsync: string;
  readonly standbys: string;
}

/** Throws an Error of one sentence when it cannot be used. */
export async function openPostgresStore(
  url: string,
  options: PostgresOptions,
): Promise<PostgresStore> {
  const address = readAddress(url);
  const clock = options.clock ?? systemClock;
  const ids = options.ids ?? systemIds;
  const link = new PostgresLink(address, { ...options, clock });
  const nodeClock = new NodeClock(() => readTime(link), clock);
  try {
    const node = await readNode(link, address);
    const { partitions, format } = await prepareSchema(link, { ...options, clock });
    await nodeClock.measure();
    nodeClock.keepMeasuring();
    const ways = new Wakes(link, { clock, channel: options.namespace, sender: ids.uuid() });
    const wakes = (options.notifies ?? (await ways.open())) ? ways : undefined;
    const traits: Traits = {
      name: "postgres",
      durability: durabilityOf(node),
      shared: true,
      claimOrder: "roughly",
      looks: "cheap",
      countsExact: true,
      countsLeased: true,
      usedMax: limits.storeUsedMax,
    };
    return new PostgresStore({ link, clock, nodeClock, wakes, traits, partitions, format });
  } catch (error) {
    nodeClock.close();
    await link.close();
    throw error;
  }
}

async function readTime(link: PostgresLink): Promise<number> {
  const [row] = await link.query<{ readonly ms: string }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS ms",
  );
  return Number(row!.ms);
}

async function readNode(link: PostgresLink, address: PostgresAddress): Promise<NodeRow> {
  const { host } = address;
  const [node] = await link
    .query<NodeRow>(
      `SELECT current_setting('server_version_num')::int / 10000 AS version,
         current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS "isReplica",
         current_setting('synchronous_commit') AS synchronous, current_setting('fsync') AS fsync,
         current_setting('synchronous_standby_names') AS standbys`,
    )
    .catch((error: unknown) => {
      throw connectFault(address, error);
    });
  const { version, encoding, isReplica } = node!;
  if (version < oldestVersion) {
    throw new Error(`PostgreSQL at ${host} is version ${version}; use ${oldestVersion} or newer.`);
  }
  if (encoding !== "UTF8") {
    throw new Error(`The database has the encoding ${encoding}; create one with ENCODING 'UTF8'.`);
  }
  if (isReplica) {
    throw new Error(`PostgreSQL at ${host} is a read-only replica; name the primary.`);
  }
  return node!;
}

/** One sentence. */
function durabilityOf({ fsync, synchronous, standbys }: NodeRow): string {
  if (fsync !== "on") {
    return "PostgreSQL runs with fsync off: a crash of its machine may lose everything.";
  }
  if (synchronous === "off") {
    return (
      "Acknowledged writes of the last moments may be lost when PostgreSQL ends without notice " +
      "(synchronous_commit is off)."
    );
  }
  const alone = "Acknowledged writes survive a crash of PostgreSQL and of its machine";
  if (standbys === "" || synchronous === "local") {
    return `${alone}, not the loss of its disk: no replica is synchronous.`;
  }
  return `${alone}, and its loss: synchronous replicas hold them (synchronous_commit ${synchronous}).`;
}
