/** Opens the Redis store that a URL names: connects, checks what it found, and claims the namespace. */
import { type Clock, systemClock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import { parseRedisUrl } from "./address.ts";
import { makeKeys } from "./keys.ts";
import { RedisLink } from "./link.ts";
import { RedisStore } from "./redis-store.ts";

export interface RedisOptions {
  readonly namespace: string;
  readonly partitions?: number;
  readonly clock?: Clock;
  /** False: scripts take any `now`; tests of the contract make up their own. */
  readonly clockCheck?: boolean;
}

export async function openRedisStore(url: string, options: RedisOptions): Promise<RedisStore> {
  const address = parseRedisUrl(url);
  if ("problem" in address) throw new Error(`The store's URL ${address.problem}.`);
  const link = new RedisLink(address, options.clock ?? systemClock);
  await link.connect();
  const keys = makeKeys(options.namespace, options.partitions ?? limits.partitionsDefault);
  const traits = { name: "redis", durability: "Unknown.", shared: true };
  return new RedisStore({ link, keys, traits, clockCheck: options.clockCheck ?? true });
}
