/** Opens the keyspace of Cassandra that a URL names, for the records store. */
import { type Clock, type Ids, systemClock, systemIds } from "../../base/clock.ts";
import type { ClientTls } from "../../config/tls.ts";
import type { Logger } from "../../telemetry/log.ts";
import { NodeClock } from "../kit/node-clock.ts";
import type { RecordsDriver } from "../records/driver.ts";
import { type CassandraAddress, parseCassandraUrl } from "./address.ts";
import { CassandraAggregates } from "./aggregates.ts";
import { checkNodes, connectFault, warnOf } from "./checks.ts";
import { CassandraDocuments, CassandraServers } from "./documents.ts";
import { prepareKeyspace } from "./keyspace.ts";
import { CassandraLink, makeClient } from "./link.ts";
import { Settings } from "./settings.ts";
import { CassandraShelves, lateMs, sweepMs } from "./shelves.ts";

export interface CassandraOptions {
  /** Keeps installations apart that share a keyspace. */
  readonly namespace: string;
  /** Absent: as the namespace was created; a new one gets limits.partitionsBilledDefault. */
  readonly partitions?: number;
  readonly tls?: ClientTls;
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly log?: Logger;
}

/** A mutation has at most 16 MiB. A commit has at most limits.commitRowsMax rows, most of them small. */
const driverLimits = {
  bodyBytesMax: 262_144,
  partBytesMax: 262_144,
  changeRowsMax: 99,
  lateMs,
  sweepMs,
};

/** Throws an Error of one sentence when it cannot be used. */
export async function openCassandraDriver(
  url: string,
  options: CassandraOptions,
): Promise<RecordsDriver> {
  const address = parseCassandraUrl(url);
  if ("problem" in address) {
    throw new Error(`The address of the Cassandra store ${address.problem}.`);
  }
  const { clock = systemClock, tls } = options;
  const client = await makeClient(address, { clock, tls });
  const link = new CassandraLink(client, address, options.namespace);
  try {
    await client.connect().catch((error: Error) => {
      throw connectFault(address, error);
    });
    return await openOn(link, address, options);
  } catch (error) {
    await link.close().catch(() => {});
    throw error;
  }
}

async function openOn(
  link: CassandraLink,
  { keyspace, datacenter }: CassandraAddress,
  options: CassandraOptions,
): Promise<RecordsDriver> {
  const { clock = systemClock, ids = systemIds, log } = options;
  await checkNodes(link);
  const replicas = await prepareKeyspace(link);
  const settings = new Settings(link);
  const { partitions, format: firstFormat } = await settings.claim(options.partitions);
  const warnings = await warnOf(link, { replicas, clock });
  for (const warning of warnings) log?.warn(warning, { keyspace, datacenter });
  let format = firstFormat;
  const readTime = async () => {
    const [row] = await link.onOneNode("SELECT toUnixTimestamp(now()) AS ms FROM system.local");
    return Number(row!.ms);
  };
  const nodeClock = new NodeClock(readTime, clock);
  await nodeClock.measure();
  nodeClock.keepMeasuring();
  const now = () => clock.now() + nodeClock.offset;
  const shelves = new CassandraShelves(link, { now, ids });
  const servers = new CassandraServers(link);
  return {
    name: "cassandra",
    durability: durabilityOf(replicas, datacenter),
    partitions,
    limits: driverLimits,
    aggregates: new CassandraAggregates(link, now),
    shelves,
    documents: new CassandraDocuments(link),
    servers: {
      beatServer: (request) => servers.beatServer(request),
      listServers: (request) => servers.listServers(request),
      leaveServer: (request) => servers.leaveServer(request),
      format: () => format,
      raiseFormat: async (least) => {
        format = await settings.raiseFormat(least);
        return format;
      },
    },
    timeOffset: () => nodeClock.offset,
    complaint: () => warnings.join(" ") || undefined,
    async close() {
      nodeClock.close();
      await shelves.close();
      await link.close();
    },
  };
}

/** One sentence. */
function durabilityOf(replicas: number, datacenter: string): string {
  const quorum = Math.floor(replicas / 2) + 1;
  if (quorum === 1) {
    return (
      `Acknowledged writes are held by one node of ${datacenter}: its crash may lose the last of ` +
      "them, and its loss all."
    );
  }
  return (
    `Acknowledged writes are held by ${quorum} of ${replicas} replicas in ${datacenter}, and survive ` +
    `the loss of ${quorum - 1} of their nodes.`
  );
}
