/** The connections to Cassandra, and statements on the tables of one keyspace and namespace. */
import type { Client, Host, types } from "cassandra-driver";
import { type Clock, pause } from "../../base/clock.ts";
import type { ClientTls } from "../../config/tls.ts";
import type { CassandraAddress } from "./address.ts";
import { toFault } from "./faults.ts";

/** As the client takes them: texts, moments as numbers, blobs as Buffers. */
export type Parameter = string | number | boolean | Buffer | null;
export type Row = types.Row;

export interface Statement {
  readonly query: string;
  readonly params: readonly Parameter[];
}

/** A conditional write: whether it was applied, and if not, rows that were there. */
interface Decision {
  readonly applied: boolean;
  readonly rows: readonly Row[];
}

const connectMs = 5_000;
/** A call without a reply for as long is given up; nodes themselves give up reads after 5 s. */
const replyMs = 6_000;
/** Of so many calls that were given up, a connection is closed, and another node asked. */
const givenUpMax = 4;
const heartbeatMs = 10_000;
const reconnectMs = 250;
const reconnectMsMax = 5_000;

const sureOf = { quorum: 6, serial: 9 } as const;

export class CassandraLink {
  readonly client: Client;
  readonly keyspace: string;
  readonly datacenter: string;
  /** The value of the column ns. */
  readonly namespace: string;

  constructor(client: Client, address: CassandraAddress, namespace: string) {
    this.client = client;
    this.keyspace = address.keyspace;
    this.datacenter = address.datacenter;
    this.namespace = namespace;
  }

  /** Throws a StoreFault. */
  async read(
    query: string,
    params: readonly Parameter[],
    { sure = false }: { readonly sure?: boolean } = {},
  ): Promise<readonly Row[]> {
    try {
      const consistency = sure ? sureOf.serial : sureOf.quorum;
      return (await this.client.execute(query, [...params], { consistency })).rows;
    } catch (error) {
      throw toFault(error, "read");
    }
  }

  /** A plain write; throws a StoreFault. */
  async write(query: string, params: readonly Parameter[]): Promise<void> {
    try {
      await this.client.execute(query, [...params]);
    } catch (error) {
      throw toFault(error, "write");
    }
  }

  /** All statements, of one partition, under the conditions of all; throws a StoreFault. */
  async decide(statements: readonly Statement[]): Promise<Decision> {
    const [first, ...others] = statements as [Statement, ...Statement[]];
    try {
      const result =
        others.length === 0
          ? await this.client.execute(first.query, [...first.params])
          : await this.client.batch(
              statements.map(({ query, params }) => ({ query, params: [...params] })),
            );
      return { applied: result.wasApplied(), rows: result.rows };
    } catch (error) {
      throw toFault(error, "write");
    }
  }

  /** On one node, the same for all servers: changes of the schema are in order there. */
  async onOneNode(query: string, params: readonly Parameter[] = []): Promise<readonly Row[]> {
    const [host] = this.hosts();
    const options = { prepare: false, ...(host && { host }) };
    return (await this.client.execute(query, [...params], options)).rows;
  }

  /** Those of this data centre that are up, in the order of their addresses. */
  hosts(): readonly Host[] {
    return this.client.hosts
      .values()
      .filter((host) => host.datacenter === this.datacenter && host.isUp())
      .toSorted((a, b) => (a.address < b.address ? -1 : 1));
  }

  async close(): Promise<void> {
    await this.client.shutdown();
  }
}

/** Not connected yet. Its library is loaded only here: servers on other stores do without. */
export async function makeClient(
  address: CassandraAddress,
  { clock, tls }: { readonly clock: Clock; readonly tls?: ClientTls | undefined },
): Promise<Client> {
  const { Client, policies } = await import("cassandra-driver");
  const { username, password = "" } = address;
  const client = new Client({
    contactPoints: address.hosts.map((host) => host),
    localDataCenter: address.datacenter,
    protocolOptions: { port: address.port },
    ...(username && { credentials: { username, password } }),
    // The library trusts anybody unless asked not to.
    ...(address.tls && { sslOptions: { ...tls, rejectUnauthorized: true } }),
    queryOptions: {
      prepare: true,
      consistency: sureOf.quorum,
      serialConsistency: sureOf.serial,
      fetchSize: 0,
    },
    policies: {
      retry: new policies.retry.FallthroughRetryPolicy(),
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(
        reconnectMs,
        reconnectMsMax,
      ),
    },
    socketOptions: {
      connectTimeout: connectMs,
      readTimeout: replyMs,
      defunctReadTimeoutThreshold: givenUpMax,
    },
    pooling: { warmup: true, heartBeatInterval: heartbeatMs },
  });
  keepControlled(client, clock);
  return client;
}

interface Control {
  readonly connection: unknown;
  _refresh(hosts?: unknown): Promise<void>;
}

/**
 * When the connection on which the library hears of nodes ends while it is made anew, the library throws
 * where nobody can catch it, which would end the process, and may not try again.
 */
function keepControlled(client: Client, clock: Clock): void {
  const { controlConnection: control } = client as unknown as { controlConnection: Control };
  const refresh = control._refresh.bind(control);
  control._refresh = async (hosts) => {
    try {
      await refresh(hosts);
    } catch {
      await pause(reconnectMs, clock);
      if (control.connection === null) await control._refresh();
    }
  };
}
