/** Flags of the Go server that this one does not have, and what takes their place. */
const replacements: Readonly<Record<string, string>> = {
  "redis-address": "use --store redis://host:port, or redis-cluster://host:port,host:port",
  "redis-password": "put it into --store redis://:password@host:port, best as @file that holds it",
  "storage-impl":
    "the address in --store says it: sqlite:<file>, redis://host:port or redis-cluster://host:port",
  "queue-impl": "leave it out, as queues are kept in the store",
  "data-serializer": "leave it out, as payloads are kept as JSON",
  "batch-size": "leave it out, as batches follow from the load",
  "bind-address": "use --host for the address to listen on; servers find each other in the store",
  "cluster-address": "leave it out, as servers with the same --store find each other there",
  "analytics-output": "leave it out; see /metrics, the log, and --otlp-endpoint for traces",
  "config-file": "give flags, or environment variables such as ORCHY_STORE",
};

/** As the documents of the Go server spell two of them. */
const spellings: Readonly<Record<string, string>> = {
  "redis-addr": "redis-address",
  "bind-addr": "bind-address",
};

/** What to do instead of giving this flag; undefined: the Go server had no such flag. */
export function insteadOfLegacyFlag(name: string): string | undefined {
  const known = Object.hasOwn(spellings, name) ? spellings[name]! : name;
  return Object.hasOwn(replacements, known) ? replacements[known] : undefined;
}
