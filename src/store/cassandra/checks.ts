/** What a server finds out about the nodes of Cassandra before it uses them. */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { measureOffset } from "../kit/clock-offset.ts";
import type { CassandraAddress } from "./address.ts";
import { type CassandraError, codes } from "./faults.ts";
import { replicasWanted } from "./keyspace.ts";
import type { CassandraLink } from "./link.ts";

/** Conditional batches and reads by GROUP of conditions are as here from this one on. */
const oldestMajor = 4;
const hostsMeasuredMax = 8;

/** Why it cannot be connected to, and what the operator can do about it, in one sentence. */
export function connectFault(address: CassandraAddress, error: Error): Error {
  const known = error as CassandraError;
  const inner = Object.values(known.innerErrors ?? {})[0] as CassandraError | undefined;
  const { name, code, message } = inner ?? known;
  const where = `Cassandra at ${address.hosts.join(", ")} (port ${address.port})`;
  if (name === "AuthenticationError" || code === codes.badCredentials) {
    return new Error(
      `${where} does not let the store's role in: check user and password in --store.`,
    );
  }
  if (/local ?data ?cent/i.test(message)) {
    return new Error(
      `${where} has no data centre ${address.datacenter}: check dc in --store (${message}).`,
    );
  }
  const advice = adviceOn(`${code ?? ""} ${message}`, address.tls);
  return new Error(`${where} cannot be used: ${message}. ${advice}`);
}

const untrusted = /self.signed|unable to (?:verify|get)|CERT_|certificate/i;

function adviceOn(text: string, tls: boolean): string {
  if (tls && /altnames/i.test(text))
    return "Its certificate is for other hosts than --store names.";
  if (tls && untrusted.test(text)) return "Name the authority of its certificate with --store-ca.";
  if (tls) return "Check hosts and port in --store, and that its clients speak TLS.";
  return "Check hosts and port in --store; where its clients speak TLS, add tls=true to it.";
}

/** Throws an Error of one sentence. */
export async function checkNodes(link: CassandraLink): Promise<void> {
  for (const { address, cassandraVersion } of link.hosts()) {
    if (Number.parseInt(cassandraVersion, 10) >= oldestMajor) continue;
    throw new Error(
      `Cassandra at ${address} is version ${cassandraVersion}; use ${oldestMajor} or newer.`,
    );
  }
}

/** What an operator should mend, in sentences. */
export async function warnOf(
  link: CassandraLink,
  { replicas, clock }: { readonly replicas: number; readonly clock: Clock },
): Promise<readonly string[]> {
  const { keyspace, datacenter } = link;
  const warnings: string[] = [];
  if (replicas < replicasWanted) {
    const loss =
      replicas === 1 ? "the loss of one node loses executions" : "one node down stops all";
    warnings.push(
      `The keyspace ${keyspace} has ${replicas} replica${replicas === 1 ? "" : "s"} in ` +
        `${datacenter}: ${loss}; with ${replicasWanted} it survives that: ALTER KEYSPACE, then ` +
        "nodetool repair.",
    );
  }
  const variant = await paxosVariant(link);
  if (variant === "v1") {
    warnings.push(
      "Cassandra runs with paxos_variant v1: a step takes up to two more round trips, and its reads " +
        "after a failure are less sure; set paxos_variant: v2 in cassandra.yaml of all nodes.",
    );
  }
  const apartMs = await clocksApart(link, clock);
  if (apartMs > limits.clockSkewMsMax / 2) {
    warnings.push(
      `The clocks of Cassandra's nodes are ${apartMs} ms apart; keep them together with NTP.`,
    );
  }
  return warnings;
}

/** Undefined: this role may not see it, or the version does not know it. */
async function paxosVariant(link: CassandraLink): Promise<string | undefined> {
  try {
    const query = "SELECT value FROM system_views.settings WHERE name = 'paxos_variant'";
    const [row] = await link.onOneNode(query);
    return row?.value as string | undefined;
  } catch {
    return undefined;
  }
}

async function clocksApart(link: CassandraLink, clock: Clock): Promise<number> {
  const query = "SELECT toUnixTimestamp(now()) AS ms FROM system.local";
  const offsets = await Promise.all(
    link
      .hosts()
      .slice(0, hostsMeasuredMax)
      .map(async (host) => {
        const read = async () => {
          const { rows } = await link.client.execute(query, [], { host, prepare: false });
          return Number(rows[0]!.ms);
        };
        const { offset, roundTrip } = await measureOffset(read, clock).catch(() => unmeasured);
        return Number.isFinite(roundTrip) ? [offset] : [];
      }),
  );
  const known = offsets.flat();
  return known.length === 0 ? 0 : Math.round(Math.max(...known) - Math.min(...known));
}

const unmeasured = { offset: 0, roundTrip: Number.POSITIVE_INFINITY };
