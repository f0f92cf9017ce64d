/** How the text of a flag or variable becomes a value, or the reason why it does not. */

import { readFileSync } from "node:fs";
import { type KafkaAddress, parseKafkaAddress } from "../brokers/kafka/address.ts";
import { parseQueueAddress, type QueueAddress } from "../brokers/queue-address.ts";
import { isAllowEntry } from "../http/allow-list.ts";

export type StoreAddress =
  | { readonly kind: "memory" }
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "redis" | "postgres" | "dynamodb" | "cassandra"; readonly url: string };

export interface Flag<Value> {
  readonly placeholder?: string;
  readonly default: string;
  readonly explanation: string;
  /** A variable that other programs read, too; ORCHY_… wins over it. */
  readonly standardVariable?: string;
  /** Never shown, and `@file` stands for what that file holds. */
  readonly secret?: boolean;
  /** Returns the value, or the end of the sentence "--flag <text>: …". */
  readonly read: (text: string) => { readonly value: Value } | { readonly problem: string };
}

/**
 * What was given, or with `@file` what that file holds: the flags of a process can be read by every
 * user of its machine.
 */
export function readSecret(text: string): { value: string } | { problem: string } {
  if (!text.startsWith("@")) return { value: text };
  const path = text.slice(1);
  try {
    return { value: readFileSync(path, "utf8").trim() };
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string };
    return { problem: `cannot read ${path}: ${code === "ENOENT" ? "no such file" : message}` };
  }
}

/** An address as it is shown: somebody may have put a password into it where a reference belongs. */
export function withoutPasswords(text: string): string {
  return text
    .replace(/^((?:[a-z]+:)?(?:\/\/)?).*@/s, "$1…@")
    .replace(/\b((?:password|secret|token)=)(?!env:|file:)[^&]*/gi, "$1…");
}

export function matching(pattern: RegExp, rule: string) {
  return (text: string) => (pattern.test(text) ? { value: text } : { problem: rule });
}

/** Absent text means: not set. */
export function optional<Value>(read: Flag<Value>["read"]): Flag<Value | undefined>["read"] {
  return (text) => (text === "" ? { value: undefined } : read(text));
}

export function integer(min: number, max: number) {
  return (text: string) => {
    const value = Number(text);
    return /^\d{1,9}$/.test(text) && value >= min && value <= max
      ? { value }
      : { problem: `must be a whole number from ${min} to ${max}` };
  };
}

/** Without an exponent, so that its digits need no counting. */
export function decimal(min: number, max: number) {
  return (text: string) => {
    const value = Number(text);
    return /^\d{1,9}(\.\d{1,9})?$/.test(text) && value >= min && value <= max
      ? { value }
      : { problem: `must be a number from ${min} to ${max}` };
  };
}

export function oneOf<const Value extends string>(values: readonly Value[]) {
  return (text: string) => {
    const value = values.find((one) => one === text.toLowerCase());
    return value ? { value } : { problem: `must be one of ${values.join(", ")}` };
  };
}

export function readSwitch(text: string): { value: boolean } | { problem: string } {
  if (/^(true|1|yes)$/i.test(text)) return { value: true };
  if (/^(false|0|no)$/i.test(text)) return { value: false };
  return { problem: "must be true or false" };
}

const storeRule =
  "must be sqlite:<file>, memory:, redis://host:port, redis-cluster://host:port,host:port, " +
  "redis-sentinel://host:port,host:port/name, postgres://user@host:port/database, " +
  "dynamodb://region/table or cassandra://user:password@host,host/keyspace?dc=name";

export function readStore(text: string): { value: StoreAddress } | { problem: string } {
  if (text === "memory:") return { value: { kind: "memory" } };
  const path = /^sqlite:(.+)$/s.exec(text)?.[1];
  if (path !== undefined && !path.includes("\0")) return { value: { kind: "sqlite", path } };
  if (/^rediss?(?:-cluster|-sentinel)?:\/\/[^\s/]/.test(text)) {
    return { value: { kind: "redis", url: text } };
  }
  if (/^postgres(?:ql)?:\/\/[^\s/]/.test(text)) return { value: { kind: "postgres", url: text } };
  if (/^dynamodb:\/\/[^\s]/.test(text)) return { value: { kind: "dynamodb", url: text } };
  if (/^cassandra:\/\/[^\s/]/.test(text)) return { value: { kind: "cassandra", url: text } };
  return { problem: storeRule };
}

export function readQueue(text: string): { value: QueueAddress } | { problem: string } {
  return parseQueueAddress(text);
}

export function readKafka(text: string): { value: KafkaAddress } | { problem: string } {
  return parseKafkaAddress(text);
}

export function readEndpoint(text: string): { value: string } | { problem: string } {
  const isUrl = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  return isUrl ? { value: text } : { problem: "must be a URL such as http://localhost:8000" };
}

/** As browsers send it in the header Origin. */
export function readOrigins(text: string): { value: string[] } | { problem: string } {
  const origins = text.split(",").filter(Boolean);
  const isOrigin = (one: string) => URL.canParse(one) && new URL(one).origin === one;
  return origins.every(isOrigin)
    ? { value: origins }
    : { problem: "must be origins such as https://app.example.com, with commas between them" };
}

/** Entries of http/allow-list.ts. */
export function readAllowList(text: string): { value: string[] } | { problem: string } {
  const entries = text.split(",").filter(Boolean);
  return entries.every(isAllowEntry)
    ? { value: entries }
    : {
        problem:
          "must be names such as api.example.com or *.example.com, addresses, networks such as " +
          "10.0.0.0/8, or *, without ports, with commas between them",
      };
}

/** Names alone: of any port. */
export function readHosts(text: string): { value: string[] } | { problem: string } {
  const names = text.split(",").filter(Boolean);
  return names.every((name) => /^[\w-]+(\.[\w-]+)*$/.test(name))
    ? { value: names }
    : { problem: "must be names such as orchy.example, without ports, with commas between them" };
}

export function readAdvertise(text: string): { value: string | undefined } | { problem: string } {
  if (text === "") return { value: undefined };
  const parts = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[2]);
  return port >= 1 && port <= 65_535
    ? { value: text }
    : { problem: "must be host:port, as others reach it, with a port from 1 to 65535" };
}

export function readCollector(text: string): { value: string } | { problem: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return { problem: "must be the address of a collector, such as http://localhost:4318" };
  }
  const isWhole = url.pathname.endsWith("/v1/traces");
  if (!isWhole) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`;
  return { value: url.href };
}

export function readHeaders(text: string): { value: Record<string, string> } | { problem: string } {
  const headers: Record<string, string> = {};
  for (const pair of text.split(",").filter(Boolean)) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x20-\x7e]*?)\s*$/.exec(pair) ?? [];
    if (name === undefined) return { problem: "must be name=value, with commas between them" };
    headers[name] = value!.replace(/%[0-9A-Fa-f]{2}/g, (code) =>
      String.fromCharCode(Number.parseInt(code.slice(1), 16)),
    );
  }
  return { value: headers };
}
