/**
 * Where a server's task queue is, as its operator writes it: sqs:<prefix or URL>[?endpoint=…&region=…] or
 * kafka:<brokers>[?prefix=…&partitions=…&replicas=…&…], with the parameters of kafka/address.ts.
 */
import { defined } from "../base/defined.ts";
import { type KafkaAddress, parseKafkaAddress } from "./kafka/address.ts";

export type QueueAddress =
  | {
      readonly kind: "sqs";
      readonly prefix: string;
      readonly endpoint?: string;
      readonly region?: string;
    }
  | {
      readonly kind: "kafka";
      readonly cluster: KafkaAddress;
      readonly prefix: string;
      /** Of each topic that is created. */
      readonly partitions: number;
      /** Absent: as the brokers are set. */
      readonly replicas?: number;
    };

type Parsed = { readonly value: QueueAddress } | { readonly problem: string };

const prefixDefault = "orchy";
const prefixPattern = /^[\w-]{1,30}$/;
const partitionsDefault = 8;
const countPattern = /^[1-9]\d{0,3}$/;

/** Returns the address, or the end of a sentence that begins with what was read. */
export function parseQueueAddress(text: string): Parsed {
  const [, kind, rest = ""] = /^(sqs|kafka):(.*)$/s.exec(text) ?? [];
  if (kind === "sqs") return parseSqs(rest);
  if (kind === "kafka") return parseKafka(rest);
  return { problem: "must be sqs:<prefix or URL> or kafka:<brokers>" };
}

function parseSqs(text: string): Parsed {
  const [, place = "", query = ""] = /^([^?]*)(?:\?(.*))?$/s.exec(text) ?? [];
  const given = new URLSearchParams(query);
  const unknown = [...given.keys()].find((name) => name !== "endpoint" && name !== "region");
  if (unknown !== undefined) return { problem: `has no parameter "${unknown}"` };
  let [prefix, endpoint, region] = [place, given.get("endpoint"), given.get("region")];
  if (URL.canParse(place) && /^https?:$/.test(new URL(place).protocol)) {
    const { origin, hostname, pathname } = new URL(place);
    prefix = pathname.split("/").at(-1)!;
    const ofAws = /^sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1];
    if (ofAws === undefined) endpoint ??= origin;
    else region ??= ofAws;
  }
  if (holdsUser(place) || holdsUser(endpoint)) {
    return {
      problem: "holds a user or a password, and SQS goes by credentials of AWS: leave it out",
    };
  }
  if (/\.fifo$/.test(prefix)) {
    return { problem: "names a FIFO queue, and tickets need standard ones: leave .fifo out" };
  }
  if (!prefixPattern.test(prefix || prefixDefault)) {
    return { problem: "must name a prefix of at most 30 letters, digits, hyphens and underscores" };
  }
  if (endpoint && !/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : "")) {
    return { problem: "wants endpoint to be a URL such as http://localhost:4566" };
  }
  const more = defined({ endpoint: endpoint || undefined, region: region || undefined });
  return { value: { kind: "sqs", prefix: prefix || prefixDefault, ...more } };
}

function holdsUser(url: string | null): boolean {
  return url !== null && /^https?:\/\/[^/]*@/.test(url);
}

function parseKafka(text: string): Parsed {
  const parsed = parseKafkaAddress(text, ["prefix", "partitions", "replicas"]);
  if ("problem" in parsed) return parsed;
  const cluster = parsed.value;
  const prefix = cluster.rest.get("prefix") || prefixDefault;
  if (!prefixPattern.test(prefix)) {
    return { problem: "wants prefix to be at most 30 letters, digits, hyphens and underscores" };
  }
  const [partitions, replicas] = ["partitions", "replicas"].map((name) => cluster.rest.get(name));
  if (![partitions, replicas].every((count) => count === undefined || countPattern.test(count))) {
    return { problem: "wants partitions and replicas to be whole numbers" };
  }
  const more = defined({ replicas: replicas === undefined ? undefined : Number(replicas) });
  const count = Number(partitions ?? partitionsDefault);
  return { value: { kind: "kafka", cluster, prefix, partitions: count, ...more } };
}
