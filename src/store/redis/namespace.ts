/** What is fixed when a namespace is created (its partitions), and what only rises (its format). */
import { limits } from "../../base/limits.ts";
import { currentFormat, oldestFormat } from "../../model/format.ts";
import { settingsKey } from "./keys.ts";
import type { RedisLink } from "./link.ts";

/** What a namespace is, as its first server made it. */
interface Namespace {
  readonly partitions: number;
  /** Older servers know it as `layout`, and refuse to start on another than theirs. */
  readonly format: number;
}

/** Throws an Error of one sentence when this server cannot use the namespace. */
export async function claimNamespace(
  { client }: RedisLink,
  options: { readonly namespace: string; readonly partitions?: number },
): Promise<Namespace> {
  const { namespace, partitions } = options;
  const key = settingsKey(namespace);
  // Read first: a full Redis refuses a write even of what is stored already.
  let settings = await client.hgetall(key);
  if (settings.partitions === undefined) {
    await client.hsetnx(key, "layout", currentFormat);
    await client.hsetnx(key, "partitions", partitions ?? limits.partitionsDefault);
    settings = await client.hgetall(key);
  }
  const format = Number(settings.layout);
  if (!(format >= oldestFormat && format <= currentFormat)) {
    throw new Error(
      `The namespace ${namespace} was written by another version of Orchy (format ` +
        `${settings.layout}; this one reads ${oldestFormat} to ${currentFormat}). Start that ` +
        "version, or a newer one.",
    );
  }
  const stored = Number(settings.partitions);
  if (partitions !== undefined && partitions !== stored) {
    throw new Error(
      `The namespace ${namespace} has ${stored} partitions, which cannot be changed; ` +
        `start with --partitions ${stored}, or without it.`,
    );
  }
  return { partitions: stored, format };
}
