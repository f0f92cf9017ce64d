/**
 * What an operator can set: flags and environment variables, read once at start. Every bad value is
 * reported in one sentence, all of them at once.
 */
import { availableParallelism, hostname } from "node:os";
import { parseArgs } from "node:util";
import { limits } from "../base/limits.ts";
import { nearest } from "../base/nearest.ts";
import { type LogLevel, logLevels } from "../telemetry/log.ts";
import { insteadOfOriginal } from "./original-flags.ts";
import {
  decimal,
  type Flag,
  integer,
  matching,
  oneOf,
  optional,
  readAdvertise,
  readAllowList,
  readCollector,
  readHeaders,
  readHosts,
  readOrigins,
  readSecret,
  readStore,
  readSwitch,
  type StoreAddress,
} from "./settings.ts";
import { version } from "./version.ts";

export const legacyWorkerRules = ["loopback", "mtls", "open"] as const;
export type LegacyWorkers = (typeof legacyWorkerRules)[number];

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
  /** What this server shows to the store, if that asks for it. */
  readonly cert?: string;
  readonly key?: string;
}

/** A further gRPC port, without TLS, which workers of the original wire cannot speak. */
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
  readonly namespace: string;
  /** Fixed when a namespace is created; absent: as it was created, or the store's default. */
  readonly partitions?: number;
  /** host:port under which workers reach the gRPC port; absent: the host and port listened on. */
  readonly advertise?: string;
  readonly nodeName: string;
  /** Asks no caller for a key, also beyond this machine. */
  readonly insecure: boolean;
  /** Absent: both ports speak without TLS. */
  readonly tls?: TlsPaths;
  /** Names by which callers reach this server, besides those that it knows of. */
  readonly allowedHosts: readonly string[];
  /** Whose pages may call from a browser. */
  readonly corsOrigins: readonly string[];
  /** Which hosts http actions may call: entries of http/allow-list.ts. */
  readonly httpAllow: readonly string[];
  /** From where workers of the original wire are served without a key; absent: see LegacyAccess. */
  readonly legacyWorkers?: LegacyWorkers;
  /** Absent: they are served at the ports of all, and not where those speak TLS. */
  readonly legacy?: LegacyListener;
  /** File to which the audit lines of the log are added, too. */
  readonly auditLog?: string;
  /** Starts are refused when the store is full, and nothing that has finished makes room for them. */
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
export interface TracingConfig {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  /** Share of the executions started outside of any trace that are traced. */
  readonly ratio: number;
}

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] }
  /** What `--help` or `--version` asks for: the program prints it and ends. */
  | { readonly print: string };

function flag<Value>(one: Flag<Value>): Flag<Value> {
  return one;
}

const port = integer(0, 65_535);
const readHost = matching(
  /^[A-Za-z0-9._:-]{1,253}$/,
  "must be an address or a host name, without a port",
);
const readPath = optional(matching(/^[^\0]+$/, "must be the path of a file"));

const flags = {
  host: flag({
    placeholder: "address",
    default: "127.0.0.1",
    explanation: "address to listen on",
    read: readHost,
  }),
  "http-port": flag({
    placeholder: "port",
    default: "8080",
    explanation: "REST and workers over HTTP; 0 takes a free port",
    read: port,
  }),
  "grpc-port": flag({
    placeholder: "port",
    default: "8099",
    explanation: "workers over gRPC; 0 takes a free port",
    read: port,
  }),
  store: flag({
    placeholder: "address",
    default: "sqlite:./data/orchy.db",
    explanation:
      "sqlite:<file>, memory:, redis://…, redis-cluster://…, redis-sentinel://…, or @file that holds it",
    secret: true,
    read: readStore,
  }),
  "store-ca": flag({
    placeholder: "file",
    default: "",
    explanation: "certificate authority (PEM) of a store over TLS",
    read: readPath,
  }),
  "store-cert": flag({
    placeholder: "file",
    default: "",
    explanation: "certificate (PEM) that this server shows to a store over TLS",
    read: readPath,
  }),
  "store-key": flag({
    placeholder: "file",
    default: "",
    explanation: "private key of that certificate (PEM)",
    read: readPath,
  }),
  namespace: flag({
    placeholder: "name",
    default: "orchy",
    explanation: "name that separates installations in one store",
    read: matching(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of a-z, 0-9 and -"),
  }),
  partitions: flag({
    placeholder: "count",
    default: "",
    explanation: `fixed when a namespace is created; by default ${limits.partitionsEmbeddedDefault} on one server's store, ${limits.partitionsDefault} on a shared one`,
    read: optional(integer(1, limits.partitionsMax)),
  }),
  advertise: flag({
    placeholder: "host:port",
    default: "",
    explanation: "address at which workers reach the gRPC port, if it differs",
    read: readAdvertise,
  }),
  "node-name": flag({
    placeholder: "name",
    default: "",
    explanation: "name of this server; the host name by default",
    read: matching(
      /^[A-Za-z0-9._-]{0,128}$/,
      "must be at most 128 of A-Z, a-z, 0-9, '.', '_', '-'",
    ),
  }),
  insecure: flag({
    default: "false",
    explanation: "ask no caller for a key, even from other machines",
    read: readSwitch,
  }),
  "tls-cert": flag({
    placeholder: "file",
    default: "",
    explanation: "certificate (PEM, with its chain): both ports speak TLS",
    read: readPath,
  }),
  "tls-key": flag({
    placeholder: "file",
    default: "",
    explanation: "private key of that certificate (PEM)",
    read: readPath,
  }),
  "tls-client-ca": flag({
    placeholder: "file",
    default: "",
    explanation: "accept only clients with a certificate signed by this one (PEM)",
    read: readPath,
  }),
  "allowed-hosts": flag({
    placeholder: "names",
    default: "",
    explanation: "further host names of this server; needed until a key exists",
    read: readHosts,
  }),
  "cors-origin": flag({
    placeholder: "origins",
    default: "",
    explanation: "origins whose pages may call from a browser; none by default",
    read: readOrigins,
  }),
  "http-allow": flag({
    placeholder: "hosts",
    default: "",
    explanation:
      "hosts that http actions may call: names, *.example.com, addresses, networks such as " +
      "10.0.0.0/8, or * for all public ones; none by default",
    read: readAllowList,
  }),
  "legacy-workers": flag({
    placeholder: "rule",
    default: "",
    explanation:
      `from where original workers are served without a key: ${legacyWorkerRules.join(", ")}; ` +
      "loopback while there is no key, open with --insecure",
    read: optional(oneOf(legacyWorkerRules)),
  }),
  "legacy-port": flag({
    placeholder: "port",
    default: "",
    explanation: "original workers alone, over gRPC without TLS; 0 takes a free port",
    read: optional(port),
  }),
  "legacy-host": flag({
    placeholder: "address",
    default: "",
    explanation: "address at which --legacy-port listens [127.0.0.1]",
    read: optional(readHost),
  }),
  "legacy-advertise": flag({
    placeholder: "host:port",
    default: "",
    explanation: "where original workers reach --legacy-port, if not where it listens",
    read: readAdvertise,
  }),
  "audit-log": flag({
    placeholder: "file",
    default: "",
    explanation: "file to which audit lines are appended as well",
    read: readPath,
  }),
  "keep-retention": flag({
    default: "false",
    explanation: "never remove finished executions early to make room in a full store",
    read: readSwitch,
  }),
  "format-delay": flag({
    placeholder: "seconds",
    default: `${limits.formatDelayMsDefault / 1000}`,
    explanation: "shared store: seconds without older servers before a newer format is written",
    read: integer(0, 999_999_999),
  }),
  "tombstone-seconds": flag({
    placeholder: "seconds",
    default: `${limits.tombstoneSecondsDefault}`,
    explanation: "how long a deleted execution's id or key is remembered, if a caller chose it",
    read: integer(limits.tombstoneSecondsMin, limits.tombstoneSecondsMax),
  }),
  "script-processes": flag({
    placeholder: "count",
    default: "",
    explanation: `scripts that run at the same time; by default one for each core, ${limits.scriptProcessesDefaultMax} at most`,
    read: optional(integer(1, limits.scriptProcessesMax)),
  }),
  "log-level": flag({
    placeholder: "level",
    default: "info",
    explanation: logLevels.join(", "),
    read: oneOf(logLevels),
  }),
  "otlp-endpoint": flag({
    placeholder: "url",
    default: "",
    explanation:
      "collector of traces (OTLP over HTTP), such as http://localhost:4318; none by default",
    standardVariable: "OTEL_EXPORTER_OTLP_ENDPOINT",
    read: optional(readCollector),
  }),
  "otlp-headers": flag({
    placeholder: "headers",
    default: "",
    explanation: "headers for the collector: name=value,…, or @file that holds them",
    standardVariable: "OTEL_EXPORTER_OTLP_HEADERS",
    secret: true,
    read: readHeaders,
  }),
  "service-name": flag({
    placeholder: "name",
    default: "orchy",
    explanation: "service name in traces",
    standardVariable: "OTEL_SERVICE_NAME",
    read: matching(/^.{1,128}$/, "must be at most 128 characters"),
  }),
  "trace-ratio": flag({
    placeholder: "share",
    default: "1",
    explanation: "share of executions that is traced, of those started without a traceparent",
    read: decimal(0, 1),
  }),
};

/** What `--help` and the document of the configuration say of a flag. */
export function describeFlags() {
  return flagNames.map((name) => {
    const flag: Flag<unknown> = flags[name];
    const variables = [
      environmentName(name),
      ...(flag.standardVariable ? [flag.standardVariable] : []),
    ];
    return { name, ...flag, variables };
  });
}

type FlagName = keyof typeof flags;
const flagNames = Object.keys(flags) as FlagName[];

function isFlagName(text: string): text is FlagName {
  return Object.hasOwn(flags, text);
}

function environmentName(name: string): string {
  return `ORCHY_${name.toUpperCase().replaceAll("-", "_")}`;
}

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
      const shown = secret ? "" : ` ${JSON.stringify(text.slice(0, 100))}`;
      problems.push(`${source}${shown}: ${answer.problem}.`);
      return undefined as never;
    }
    return answer.value as Extract<typeof answer, { value: unknown }>["value"];
  }

  const advertise = setting("advertise");
  const partitions = setting("partitions");
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
    storeTls: withoutAbsent({
      ca: setting("store-ca"),
      cert: setting("store-cert"),
      key: setting("store-key"),
    }),
    namespace: setting("namespace"),
    ...(partitions === undefined ? {} : { partitions }),
    ...(advertise === undefined ? {} : { advertise }),
    nodeName: setting("node-name") || hostname() || "orchy",
    insecure: setting("insecure"),
    ...tlsOf(setting("tls-cert"), setting("tls-key"), setting("tls-client-ca"), problems),
    allowedHosts: setting("allowed-hosts"),
    corsOrigins: setting("cors-origin"),
    httpAllow: setting("http-allow"),
    ...(legacyWorkers === undefined ? {} : { legacyWorkers }),
    ...legacyOf(
      setting("legacy-port"),
      { host: setting("legacy-host"), advertise: setting("legacy-advertise") },
      problems,
    ),
    ...(auditLog === undefined ? {} : { auditLog }),
    keepRetention: setting("keep-retention"),
    formatDelaySeconds: setting("format-delay"),
    tombstoneSeconds: setting("tombstone-seconds"),
    scriptProcesses: setting("script-processes") ?? scriptProcessesDefault(),
    logLevel: setting("log-level"),
    ...(tracing.url === undefined ? {} : { tracing: { ...tracing, url: tracing.url } }),
  };
  if (problems.length === 0) problems.push(...contradictions(config));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config };
}

function scriptProcessesDefault(): number {
  return Math.min(availableParallelism(), limits.scriptProcessesDefaultMax);
}

function withoutAbsent(paths: { readonly [name: string]: string | undefined }): StoreTlsPaths {
  return Object.fromEntries(Object.entries(paths).filter(([, path]) => path !== undefined));
}

function tlsOf(
  cert: string | undefined,
  key: string | undefined,
  clientCa: string | undefined,
  problems: string[],
): { readonly tls?: TlsPaths } {
  if (cert !== undefined && key !== undefined) {
    return { tls: { cert, key, ...(clientCa !== undefined && { clientCa }) } };
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
      legacy: { host: host ?? "127.0.0.1", port, ...(advertise !== undefined && { advertise }) },
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
  const isSecured = config.store.kind === "redis" && config.store.url.startsWith("rediss");
  if ((ca ?? cert) !== undefined && !isSecured) {
    problems.push(
      "--store-ca and --store-cert are for a store over TLS, such as rediss://host:port.",
    );
  }
  return problems;
}

/** `host:port`, with brackets around an address of IPv6. */
export function addressOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

interface GivenFlags {
  readonly help: boolean;
  readonly version: boolean;
  readonly values: ReadonlyMap<FlagName, string>;
  readonly problems: readonly string[];
}

function readFlags(argv: readonly string[]): GivenFlags {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...flagNames.map((name) => [name, { type: flags[name].placeholder ? "string" : "boolean" }]),
      ["help", { type: "boolean", short: "h" }],
      ["version", { type: "boolean" }],
    ]),
  });
  const values = new Map<FlagName, string>();
  const problems: string[] = [];
  const asked = { help: false, version: false };
  // What follows an unknown flag is probably its value, and not worth a sentence of its own.
  let afterUnknown = false;
  for (const token of tokens) {
    const excused = afterUnknown && token.kind === "positional";
    afterUnknown = token.kind === "option" && !isFlagName(token.name);
    if (token.kind === "option-terminator" || excused) continue;
    if (token.kind === "positional") {
      problems.push(`${JSON.stringify(token.value)} is not a flag; flags begin with --.`);
    } else if (token.name === "help" || token.name === "version") {
      asked[token.name] = true;
    } else if (!isFlagName(token.name)) {
      problems.push(unknownFlag(token.rawName));
    } else if (values.has(token.name)) {
      problems.push(`--${token.name} is given twice.`);
    } else if (!flags[token.name].placeholder) {
      values.set(token.name, token.value ?? "true");
    } else if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--"))) {
      problems.push(`--${token.name} needs a value.`);
    } else {
      values.set(token.name, token.value);
    }
  }
  return { ...asked, values, problems };
}

function unknownFlag(raw: string): string {
  const name = raw.replace(/^-+/, "");
  const instead = insteadOfOriginal(name);
  if (instead !== undefined) return `${raw} is a flag of the Go server: ${instead}.`;
  const near = nearest(name, flagNames);
  return near !== undefined
    ? `Unknown flag ${raw}; did you mean --${near}?`
    : `Unknown flag ${raw}; --help lists the flags.`;
}

function helpText(): string {
  const lines = flagNames.map((name) => {
    const { placeholder, default: preset, explanation } = flags[name];
    const shown = placeholder ? `--${name} <${placeholder}>` : `--${name}`;
    const byDefault = preset && placeholder ? ` [${preset}]` : "";
    return `  ${shown.padEnd(28)}${explanation}${byDefault}`;
  });
  return [
    "Usage: bun run server [flags]",
    "       bun run server keys create | list | revoke   (who may do what; keys --help)",
    "",
    ...lines,
    `  ${"--help".padEnd(28)}this text`,
    `  ${"--version".padEnd(28)}the version of this server`,
    "",
    "Each flag can also be set as an environment variable, ORCHY_HTTP_PORT for --http-port and so",
    "on; a flag wins over its variable. Flags show in the list of processes: give what is secret as",
    "@file or as a variable.",
  ].join("\n");
}
