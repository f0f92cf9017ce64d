/**
 * What an operator can set: flags and environment variables, read once at start. Every bad value is
 * reported in one sentence, all of them at once.
 */

import { availableParallelism, hostname } from "node:os";
import { defined } from "../base/defined.ts";
import { limits } from "../base/limits.ts";
import type { KafkaAddress } from "../brokers/kafka/address.ts";
import type { QueueAddress } from "../brokers/queue-address.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { helpText, readFlags } from "./command-line.ts";
import { environmentName, type FlagName, flags, type LegacyWorkers } from "./flags.ts";
import { type Flag, readSecret, type StoreAddress, withoutPasswords } from "./settings.ts";
import { version } from "./version.ts";

/** Files in PEM form. */
export interface TlsPaths {
  /** The server's certificate, and those between it and its root. */
  readonly cert: string;
  readonly key: string;
  /** Who signs the certificates of clients; absent: clients need none. */
  readonly clientCa?: string;
}

/** Files in PEM form, for a store that speaks TLS. */
export interface StoreTlsPaths {
  /** Who signs the store's certificate; absent: somebody whom the system trusts. */
  readonly ca?: string;
  /** What this server shows to the store, if that requires it. */
  readonly cert?: string;
  readonly key?: string;
}

/** A further gRPC port, without TLS, which workers of the legacy wire cannot speak. */
export interface LegacyListener {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** host:port under which these workers reach it; absent: the host and port listened on. */
  readonly advertise?: string;
}

export interface Config {
  readonly host: string;
  /** 0 takes a free port. */
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly store: StoreAddress;
  readonly storeTls: StoreTlsPaths;
  /** Absent: that of AWS in the region. */
  readonly dynamodbEndpoint?: string;
  /** Brings queued tasks to servers; absent: the store does. */
  readonly queue?: QueueAddress;
  /** The cluster of topics that documents name; absent: there is none. */
  readonly kafka?: KafkaAddress;
  readonly namespace: string;
  /** Fixed when a namespace is created; absent: as it was created, or the store's default. */
  readonly partitions?: number;
  /** host:port under which workers reach the gRPC port; absent: the host and port listened on. */
  readonly advertise?: string;
  /** host:port under which other servers reach the HTTP port; absent: the host and port listened on. */
  readonly advertiseHttp?: string;
  readonly nodeName: string;
  /** No caller needs a key, also beyond this machine. */
  readonly insecure: boolean;
  /** Absent: both ports speak without TLS. */
  readonly tls?: TlsPaths;
  /** Names by which callers reach this server, besides those that it knows of. */
  readonly allowedHosts: readonly string[];
  /** Whose pages may call from a browser. */
  readonly corsOrigins: readonly string[];
  /** Which hosts http actions may call: entries of http/allow-list.ts. */
  readonly httpAllow: readonly string[];
  /** From where workers of the legacy wire are served without a key; absent: see LegacyAccess. */
  readonly legacyWorkers?: LegacyWorkers;
  /** Absent: they are served at the ports of all, and not where those speak TLS. */
  readonly legacy?: LegacyListener;
  /** File to which the audit lines of the log are added, too. */
  readonly auditLog?: string;
  /**
   * Starts are refused when the store is full, and nothing that has finished makes room for them.
   */
  readonly keepRetention: boolean;
  /** On a shared store: how long after the last older server a newer format is written. */
  readonly formatDelaySeconds: number;
  /** How long the id of a deleted execution is remembered that a caller or a message chose. */
  readonly tombstoneSeconds: number;
  /** How many scripts run at the same time. */
  readonly scriptProcesses: number;
  readonly logLevel: LogLevel;
  /** Absent: no traces are sent. */
  readonly tracing?: TracingConfig;
}

/** Where spans are sent over OTLP/HTTP, and under which name. */
interface TracingConfig {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  /** Share of the executions started outside of any trace that are traced. */
  readonly ratio: number;
}

type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] }
  /** The text of `--help` or `--version`: the program prints it and ends. */
  | { readonly print: string };

/**
 * Environment variables that look like Orchy's and are not are left alone: container platforms set
 * such names by themselves for a service that is called orchy.
 */
export function parseConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedConfig {
  const given = readFlags(argv);
  if (given.help) return { print: helpText() };
  if (given.version) return { print: `Orchy ${version}` };
  const problems = [...given.problems];

  function setting<Name extends FlagName>(name: Name) {
    const fromFlag = given.values.get(name);
    const { standardVariable = "", secret, default: preset }: Flag<unknown> = flags[name];
    const variable = env[environmentName(name)] ? environmentName(name) : standardVariable;
    const text = fromFlag ?? (env[variable] || preset);
    const held = secret ? readSecret(text) : { value: text };
    type Read = ReturnType<(typeof flags)[Name]["read"]>;
    const answer = "problem" in held ? held : (flags[name].read(held.value) as Read);
    if ("problem" in answer) {
      const source = fromFlag === undefined ? variable : `--${name}`;
      const shown = secret ? "" : ` ${JSON.stringify(withoutPasswords(text).slice(0, 100))}`;
      problems.push(`${source}${shown}: ${answer.problem}.`);
      return undefined as never;
    }
    return answer.value as Extract<typeof answer, { value: unknown }>["value"];
  }

  const advertise = setting("advertise");
  const advertiseHttp = setting("advertise-http");
  const partitions = setting("partitions");
  const kafka = setting("kafka");
  const dynamodbEndpoint = setting("dynamodb-endpoint");
  const queue = setting("queue");
  const legacyWorkers = setting("legacy-workers");
  const auditLog = setting("audit-log");
  const tracing = {
    url: setting("otlp-endpoint"),
    headers: setting("otlp-headers"),
    serviceName: setting("service-name"),
    ratio: setting("trace-ratio"),
  };
  const config: Config = {
    host: setting("host"),
    httpPort: setting("http-port"),
    grpcPort: setting("grpc-port"),
    store: setting("store"),
    storeTls: defined({
      ca: setting("store-ca"),
      cert: setting("store-cert"),
      key: setting("store-key"),
    }),
    namespace: setting("namespace"),
    ...defined({ dynamodbEndpoint, partitions, advertise, advertiseHttp, kafka, queue }),
    nodeName: setting("node-name") || hostname() || "orchy",
    insecure: setting("insecure"),
    ...tlsOf(setting("tls-cert"), setting("tls-key"), setting("tls-client-ca"), problems),
    allowedHosts: setting("allowed-hosts"),
    corsOrigins: setting("cors-origin"),
    httpAllow: setting("http-allow"),
    ...defined({ legacyWorkers }),
    ...legacyOf(
      setting("legacy-port"),
      { host: setting("legacy-host"), advertise: setting("legacy-advertise") },
      problems,
    ),
    ...defined({ auditLog }),
    keepRetention: setting("keep-retention"),
    formatDelaySeconds: setting("format-delay"),
    tombstoneSeconds: setting("tombstone-seconds"),
    scriptProcesses: setting("script-processes") ?? scriptProcessesDefault(),
    logLevel: setting("log-level"),
    ...defined({
      tracing: tracing.url === undefined ? undefined : { ...tracing, url: tracing.url },
    }),
  };
  if (problems.length === 0) problems.push(...contradictions(config));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config };
}

function scriptProcessesDefault(): number {
  return Math.min(availableParallelism(), limits.scriptProcessesDefaultMax);
}

function tlsOf(
  cert: string | undefined,
  key: string | undefined,
  clientCa: string | undefined,
  problems: string[],
): { readonly tls?: TlsPaths } {
  if (cert !== undefined && key !== undefined) {
    return { tls: { cert, key, ...defined({ clientCa }) } };
  }
  if (cert ?? key ?? clientCa) problems.push("TLS needs both --tls-cert and --tls-key.");
  return {};
}

function legacyOf(
  port: number | undefined,
  { host, advertise }: { [name in "host" | "advertise"]: string | undefined },
  problems: string[],
): { readonly legacy?: LegacyListener } {
  if (port !== undefined) {
    return {
      legacy: { host: host ?? "127.0.0.1", port, ...defined({ advertise }) },
    };
  }
  if (host ?? advertise) {
    problems.push("--legacy-host and --legacy-advertise are for --legacy-port, which is not set.");
  }
  return {};
}

/** What is wrong with values that are each fine alone. */
function contradictions(config: Config): string[] {
  const problems: string[] = [];
  if (config.httpPort !== 0 && config.httpPort === config.grpcPort) {
    problems.push(`--http-port and --grpc-port are both ${config.httpPort}; they must differ.`);
  }
  const { host, legacy } = config;
  for (const [flag, port] of [
    ["--http-port", config.httpPort],
    ["--grpc-port", config.grpcPort],
  ] as const) {
    if (legacy === undefined || legacy.host !== host || port === 0 || legacy.port !== port)
      continue;
    problems.push(`${flag} and --legacy-port are both ${port} of ${host}; they must differ.`);
  }
  if (config.legacyWorkers === "mtls" && config.tls?.clientCa === undefined) {
    problems.push("--legacy-workers mtls needs --tls-client-ca, which verifies the clients.");
  }
  if (config.legacyWorkers === "mtls" && legacy !== undefined) {
    problems.push(
      "--legacy-workers mtls serves nobody at --legacy-port, which is without TLS; it must be " +
        "loopback or open.",
    );
  }
  const { ca, cert, key } = config.storeTls;
  if ((cert === undefined) !== (key === undefined)) {
    problems.push("A store is shown a certificate with both --store-cert and --store-key.");
  }
  if ((ca ?? cert) !== undefined && !isSecured(config.store)) {
    problems.push(
      "--store-ca and --store-cert are for a store over TLS, such as rediss://host:port, " +
        "postgres://…?sslmode=verify-full or cassandra://…&tls=true.",
    );
  }
  return problems;
}

function isSecured(store: StoreAddress): boolean {
  if (store.kind === "redis") return store.url.startsWith("rediss");
  if (store.kind === "cassandra") return /[?&]tls=true/.test(store.url);
  return store.kind === "postgres" && /[?&]sslmode=(?:require|verify-)/.test(store.url);
}

/** `host:port`, with brackets around an address of IPv6. */
export function addressOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
