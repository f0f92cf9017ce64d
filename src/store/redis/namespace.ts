/** The number of partitions is fixed when a namespace is created, and stored with it. */
import { limits } from "../../limits.ts";
import { settingsKey } from "./keys.ts";
import type { RedisLink } from "./link.ts";

/** Raised when keys change in a way that older servers do not understand. */
const layout = "2";

/** Answers the number of partitions. Throws an Error of one sentence. */
export async function claimNamespace(
  { client }: RedisLink,
  options: { readonly namespace: string; readonly partitions?: number },
): Promise<number> {
  const { namespace, partitions } = options;
  const key = settingsKey(namespace);
  // Read first: a Redis without room refuses the writing of what is there already.
  let settings = await client.hgetall(key);
  if (settings.partitions === undefined) {
    await client.hsetnx(key, "layout", layout);
    await client.hsetnx(key, "partitions", partitions ?? limits.partitionsDefault);
    settings = await client.hgetall(key);
  }
  if (settings.layout !== layout) {
    throw new Error(
      `The namespace ${namespace} was written by another version of Orchy (layout ` +
        `${settings.layout}; this one knows ${layout}).`,
    );
  }
  const stored = Number(settings.partitions);
  if (partitions !== undefined && partitions !== stored) {
    throw new Error(
      `The namespace ${namespace} has ${stored} partitions, which cannot be changed; ` +
        `start with --partitions ${stored}, or without it.`,
    );
  }
  return stored;
}
