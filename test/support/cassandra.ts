/**
 * Cassandra for a test: nodes on 127.0.0.1 and its neighbours, on a free port, with data in a
 * temporary folder, stopped by their process ids.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "cassandra-driver";
import { run } from "../interop/support/run.ts";
import { untilListening } from "./brokers/listening.ts";
import type { Issued } from "./certificates.ts";
import { installMaven, TestProgram } from "./installed.ts";
import type { Service } from "./on-service.ts";
import { freePort } from "./ports.ts";
import { until } from "./redis.ts";

const version = "5.0.9";

/** In memory where that can be: disks may be busy. */
const folders = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** The role of every installation; with several nodes anybody may enter. */
export const administrator = { username: "cassandra", password: "cassandra" };

const datacenter = "datacenter1";
const storePassword = "orchy-test";

/** What Java 17 keeps from libraries, and Cassandra needs. */
const opened = [
  ..."io lang lang.module lang.reflect net nio util util.concurrent util.concurrent.atomic"
    .split(" ")
    .map((name) => `java.base/java.${name}`),
  ..."loader math module ref reflect util.jar"
    .split(" ")
    .map((name) => `java.base/jdk.internal.${name}`),
  "java.base/sun.nio.ch",
  "jdk.management/com.sun.management.internal",
];
const exported = [
  "java.base/java.lang.ref",
  "java.base/jdk.internal.misc",
  "java.base/jdk.internal.ref",
  "java.base/sun.nio.ch",
  "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  "java.rmi/sun.rmi.registry",
  "java.rmi/sun.rmi.server",
  "java.sql/java.sql",
  "jdk.unsupported/sun.misc",
];

export interface CassandraNode {
  readonly address: string;
  readonly pid: number;
  /** At once, without a chance to tidy up. */
  kill(): Promise<void>;
  /** Again, with the same data. */
  restart(): Promise<void>;
}

export interface CassandraServers {
  readonly port: number;
  readonly nodes: readonly CassandraNode[];
  /** A connection of an administrator. */
  readonly client: Client;
  /** Of a store in this keyspace. */
  url(keyspace: string, port?: number): string;
  stop(): Promise<void>;
}

const program = new TestProgram(() =>
  installMaven("org.apache.cassandra", "cassandra-all", version),
);

async function javaMissing(): Promise<string | undefined> {
  if (Bun.which("java") === null) return "there is no java here";
  const { output } = await run(["java", "-version"], { cwd: tmpdir() });
  const [, major = "?"] = /version "(\d+)/.exec(output) ?? [];
  return ["11", "17"].includes(major) ? undefined : `Cassandra needs Java 17; here is ${major}`;
}

/** Why it cannot be started here; undefined when it can. Installs it where it is missing. */
export async function cassandraMissing(): Promise<string | undefined> {
  return (await javaMissing()) ?? (await program.missing());
}

interface Options {
  readonly nodes?: number;
  readonly tls?: Issued;
  /** Lines of cassandra.yaml. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

interface Place {
  readonly home: string;
  readonly address: string;
  readonly port: number;
  /** For nodes among each other. */
  readonly storagePort: number;
  readonly token: bigint;
  readonly options: Options;
}

/** As JSON, which is YAML, too. */
function settingsOf({ home, address, port, storagePort, token, options }: Place): string {
  const { nodes = 1, tls, settings } = options;
  return JSON.stringify({
    cluster_name: "orchy",
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    num_tokens: 1,
    initial_token: `${token}`,
    auto_bootstrap: false,
    authenticator: nodes === 1 ? "PasswordAuthenticator" : "AllowAllAuthenticator",
    authorizer: nodes === 1 ? "CassandraAuthorizer" : "AllowAllAuthorizer",
    role_manager: "CassandraRoleManager",
    roles_validity: "100ms",
    permissions_validity: "100ms",
    credentials_validity: "100ms",
    listen_address: address,
    rpc_address: address,
    native_transport_port: port,
    storage_port: storagePort,
    ssl_storage_port: storagePort,
    endpoint_snitch: "SimpleSnitch",
    seed_provider: [
      {
        class_name: "org.apache.cassandra.locator.SimpleSeedProvider",
        parameters: [{ seeds: `127.0.0.1:${storagePort}` }],
      },
    ],
    data_file_directories: [join(home, "data")],
    commitlog_directory: join(home, "log"),
    hints_directory: join(home, "hints"),
    saved_caches_directory: join(home, "caches"),
    cdc_raw_directory: join(home, "cdc"),
    // What was acknowledged outlives a kill, as it otherwise does by the other replicas.
    commitlog_sync: "batch",
    commitlog_segment_size: "16MiB",
    commitlog_total_space: "64MiB",
    memtable_heap_space: "64MiB",
    memtable_offheap_space: "32MiB",
    file_cache_size: "32MiB",
    networking_cache_size: "16MiB",
    key_cache_size: "4MiB",
    counter_cache_size: "0MiB",
    concurrent_reads: 8,
    concurrent_writes: 8,
    concurrent_counter_writes: 2,
    concurrent_compactors: 1,
    paxos_variant: "v2",
    ...settings,
    ...(tls && {
      client_encryption_options: {
        enabled: true,
        optional: false,
        keystore: join(home, "server.p12"),
        keystore_password: storePassword,
        store_type: "PKCS12",
      },
    }),
  });
}

const quietLog = `<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{1} %msg%n%ex{5}</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>`;

async function prepare(place: Place): Promise<void> {
  const { home, options } = place;
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "cassandra.yaml"), settingsOf(place));
  writeFileSync(join(home, "logback.xml"), quietLog);
  const { tls } = options;
  if (tls === undefined) return;
  const files = ["-in", tls.certPath, "-inkey", tls.keyPath, "-out", join(home, "server.p12")];
  const secret = ["-passout", `pass:${storePassword}`, "-name", "server"];
  const { ok, output } = await run(["openssl", "pkcs12", "-export", ...files, ...secret], {
    cwd: home,
  });
  if (!ok) throw new Error(output);
}

function flagsOf({ home, options }: Place): readonly string[] {
  const heapMiB = (options.nodes ?? 1) === 1 ? 640 : 400;
  const properties = {
    "jdk.attach.allowAttachSelf": "true",
    "io.netty.tryReflectionSetAccessible": "true",
    "logback.configurationFile": join(home, "logback.xml"),
    "cassandra.config": `file://${join(home, "cassandra.yaml")}`,
    "cassandra.storagedir": home,
    "cassandra-foreground": "yes",
    "cassandra.superuser_setup_delay_ms": "500",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "100",
    // The least: by default each connection costs a tenth of a second of hashing, and chaos cuts many.
    "cassandra.auth_bcrypt_gensalt_log2_rounds": "4",
  };
  return [
    "-Xms256m",
    `-Xmx${heapMiB}m`,
    "-XX:+UseSerialGC",
    // Tests are short: the second compiler costs more than it saves (12,000 cold writes 10 s, not 20).
    "-XX:TieredStopAtLevel=1",
    ...opened.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...exported.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
  ];
}

/** Not yet started. */
async function makeNode(place: Place, jars: string) {
  await prepare(place);
  const { home, address, port } = place;
  const log = Bun.file(join(home, "output"));
  const isReady = async () => {
    const socket = await Bun.connect({ hostname: address, port, socket: { data() {} } });
    socket.end();
    return true;
  };
  const main = "org.apache.cassandra.service.CassandraDaemon";
  let child: Bun.Subprocess | undefined;
  return {
    address,
    get pid() {
      return child!.pid;
    },
    async restart() {
      child = Bun.spawn(["java", ...flagsOf(place), "-cp", join(jars, "*"), main], {
        cwd: home,
        stdin: "ignore",
        stdout: log,
        stderr: log,
      });
      await untilListening("Cassandra", child, { isReady, log });
    },
    async kill() {
      child?.kill("SIGKILL");
      await child?.exited;
    },
  };
}

/** Without TLS by itself; resolves when it has been let in, by all nodes. */
async function connect(addresses: readonly string[], port: number, tls?: Issued): Promise<Client> {
  const { Client: NewClient } = await import("cassandra-driver");
  for (let tries = 1; ; tries++) {
    const client = new NewClient({
      contactPoints: [...addresses],
      localDataCenter: datacenter,
      protocolOptions: { port },
      credentials: administrator,
      ...(tls && { sslOptions: { rejectUnauthorized: false } }),
    });
    try {
      await client.connect();
      await until(
        async () =>
          client
            .getState()
            .getConnectedHosts()
            .filter((host) => host.isUp()).length === addresses.length,
      );
      return client;
    } catch (error) {
      await client.shutdown().catch(() => {});
      // The role comes a moment after the port.
      if (tries === 100) throw error;
      await Bun.sleep(100);
    }
  }
}

export async function startCassandra(options: Options = {}): Promise<CassandraServers> {
  const folder = await program.folder();
  const { nodes: count = 1, tls } = options;
  const home = mkdtempSync(join(folders, "orchy-cassandra-"));
  const [port, storagePort] = [freePort(), freePort()];
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const address = `127.0.0.${i + 1}`;
      const token = -(2n ** 63n) + (2n ** 64n / BigInt(count)) * BigInt(i);
      const place = { home: join(home, address), address, port, storagePort, token, options };
      return makeNode(place, folder);
    }),
  );
  const stopNodes = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const [first, ...others] = nodes;
    await first?.restart();
    await Promise.all(others.map((node) => node.restart()));
    const addresses = nodes.map(({ address }) => address);
    const client = await connect(addresses, port, tls);
    return {
      port,
      nodes,
      client,
      url(keyspace, atPort = port) {
        const { username, password } = administrator;
        const hosts = addresses.map((address) => `${address}:${atPort}`).join(",");
        return `cassandra://${username}:${password}@${hosts}/${keyspace}?dc=${datacenter}`;
      },
      async stop() {
        await client.shutdown().catch(() => {});
        await stopNodes();
      },
    };
  } catch (error) {
    await stopNodes();
    throw error;
  }
}

/** One node. */
export const cassandra: Service<CassandraServers> = {
  missing: cassandraMissing,
  start: startCassandra,
  startMs: 180_000,
};
