/** The flags of the server: how each is read, and what `--help` and the documents say of it. */
import { limits } from "../base/limits.ts";
import { logLevels } from "../telemetry/log.ts";
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
  readEndpoint,
  readHeaders,
  readHosts,
  readKafka,
  readOrigins,
  readQueue,
  readStore,
  readSwitch,
} from "./settings.ts";

const legacyWorkerRules = ["loopback", "mtls", "open"] as const;
export type LegacyWorkers = (typeof legacyWorkerRules)[number];

function flag<Value>(one: Flag<Value>): Flag<Value> {
  return one;
}

const port = integer(0, 65_535);
const readHost = matching(
  /^[A-Za-z0-9._:-]{1,253}$/,
  "must be an address or a host name, without a port",
);
const readPath = optional(matching(/^[^\0]+$/, "must be the path of a file"));

const serviceNamePattern = new RegExp(`^.{1,${limits.nameCharsMax}}$`);

export const flags = {
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
      "sqlite:<file>, memory:, redis://…, redis-cluster://…, redis-sentinel://…, postgres://…, dynamodb://<region>/<table>, cassandra://…, or @file that holds it",
    secret: true,
    read: readStore,
  }),
  queue: flag({
    placeholder: "address",
    default: "",
    explanation:
      "broker that brings queued tasks to servers: sqs:<prefix or URL>[?endpoint=<URL>&region=<region>] or kafka:<brokers>[?prefix=<name>&…]; by default the store does",
    read: optional(readQueue),
  }),
  kafka: flag({
    placeholder: "brokers",
    default: "",
    explanation:
      "Kafka cluster of topics that documents name: host:port[,host:port][?tls=true&ca=<file>&sasl=<mechanism>&user=<name>&password=<env:NAME or file:path>]",
    read: optional(readKafka),
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
  "dynamodb-endpoint": flag({
    placeholder: "url",
    default: "",
    explanation: "where DynamoDB is, if not where AWS has it in the region",
    standardVariable: "AWS_ENDPOINT_URL_DYNAMODB",
    read: optional(readEndpoint),
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
  "advertise-http": flag({
    placeholder: "host:port",
    default: "",
    explanation: "address at which other servers of the store reach the HTTP port, if it differs",
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
    explanation: "serve every caller without a key, even from other machines",
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
      `from where legacy workers are served without a key: ${legacyWorkerRules.join(", ")}; ` +
      "loopback while no key exists, open with --insecure",
    read: optional(oneOf(legacyWorkerRules)),
  }),
  "legacy-port": flag({
    placeholder: "port",
    default: "",
    explanation: "legacy workers alone, over gRPC without TLS; 0 takes a free port",
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
    explanation: "where legacy workers reach --legacy-port, if not where it listens",
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
    read: matching(serviceNamePattern, `must be at most ${limits.nameCharsMax} characters`),
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

export type FlagName = keyof typeof flags;
export const flagNames = Object.keys(flags) as FlagName[];

export function isFlagName(text: string): text is FlagName {
  return Object.hasOwn(flags, text);
}

export function environmentName(name: string): string {
  return `ORCHY_${name.toUpperCase().replaceAll("-", "_")}`;
}
