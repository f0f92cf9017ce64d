/** What is fixed when a namespace is created (its partitions), and what only rises (its format). */
import { limits } from "../../base/limits.ts";
import { currentFormat } from "../../model/format.ts";
import { type Namespace, readNamespace } from "../kit/namespace.ts";
import { settingsKey } from "./keys.ts";
import type { RedisLink } from "./link.ts";

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
  // Older servers know the format as `layout`, and refuse to start on another than theirs.
  return readNamespace({ partitions: settings.partitions, format: settings.layout }, options);
}
