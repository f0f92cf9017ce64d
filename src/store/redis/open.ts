/** Opens the Redis store that a URL names: connects, checks what it found, claims the namespace. */

import { type Clock, type Ids, systemClock, systemIds } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { ClientTls } from "../../config/tls.ts";
import type { Logger } from "../../telemetry/log.ts";
import { StoreFault, type Traits } from "../store.ts";
import { parseRedisUrl } from "./address.ts";
import { connectFault } from "./connect-fault.ts";
import { type Keys, makeKeys, probeKeys } from "./keys.ts";
import { RedisLink } from "./link.ts";
import { claimNamespace } from "./namespace.ts";
import { NodeClock } from "./node-clock.ts";
import { durabilityOf, objection, readNodeInfo } from "./node-info.ts";
import { probe } from "./probe.ts";
import { RedisStore } from "./redis-store.ts";

export interface RedisOptions {
  /** Keeps installations apart that share a Redis. */
  readonly namespace: string;
  /** Absent: as the namespace was created; a new one gets limits.partitionsDefault. */
  readonly partitions?: number;
  /** For addresses that begin with rediss. */
  readonly tls?: ClientTls;
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly log?: Logger;
  /** False: scripts take any `now`; tests of the contract make up their own. */
  readonly clockCheck?: boolean;
}

/** Throws an Error of one sentence when it cannot be used. */
export async function openRedisStore(url: string, options: RedisOptions): Promise<RedisStore> {
  const address = parseRedisUrl(url);
  if ("problem" in address) throw new Error(`The address of the Redis store ${address.problem}.`);
  const clock = options.clock ?? systemClock;
  const link = new RedisLink(address, clock, options.tls);
  const nodeClock = new NodeClock(() => link.masters(), clock, options.log);
  try {
    await link.connect().catch(async (error: Error) => {
      throw await connectFault(address, options.tls ?? {}, error);
    });
    const info = await Promise.all(link.masters().map(readNodeInfo));
    for (const one of info) {
      const problem = objection(one);
      if (problem !== undefined) throw new Error(problem);
    }
    const { partitions, format } = await claimNamespace(link, options);
    const keys = makeKeys(options.namespace, partitions);
    await nodeClock.measure();
    if (nodeClock.objection !== undefined) throw new Error(nodeClock.objection);
    link.onSkewed = () => void nodeClock.measure();
    const usedMax = limits.redisUsedMax;
    const traits: Traits = {
      name: "redis",
      durability: durabilityOf(info),
      shared: true,
      claimOrder: "strict",
      looks: "cheap",
      countsExact: true,
      countsLeased: true,
      usedMax,
    };
    const { clockCheck = true } = options;
    const parts = { link, traits, nodeClock, clockCheck, format };
    const ids = options.ids ?? systemIds;
    const place = { link, keys: probeKeys(keys), ids, clock, nodeClock };
    await tryOut(new RedisStore({ ...parts, keys: place.keys }), place);
    await tryChannels(place);
    return new RedisStore({ ...parts, keys });
  } catch (error) {
    nodeClock.close();
    link.close();
    throw error;
  }
}

/** A machine that has much else to do may hold up a probe for longer than a moment is believed. */
const probesMax = 5;

/** In as many partitions as masters, far apart: each of them is likely to see one. */
async function tryOut(
  store: RedisStore,
  { link, keys, ids, clock, nodeClock }: ProbePlace,
): Promise<void> {
  const count = Math.min(link.masters().length, store.partitions);
  const partitions = Array.from({ length: count }, (_, i) =>
    Math.floor(((i + 0.5) * store.partitions) / count),
  );
  const forget = async (partition: number, id: string) => {
    await link.client.unlink(`${keys.bases[partition]}:x:${id}`);
  };
  for (let tries = 1; ; tries++) {
    const now = clock.now() + store.timeOffset();
    try {
      return await probe(store, { partitions, now, ids, forget });
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      // A Redis without room cannot be tried out, and needs servers that make some.
      if (error.reason === "exhausted") return;
      if (error.outcome !== "not_applied" || tries === probesMax) throw error;
      await nodeClock.measure();
    }
  }
}

/** Scripts go on without: tasks would reach polls at other servers only at the next sweep. */
async function tryChannels({ link, keys }: ProbePlace): Promise<void> {
  const channel = keys.bases[0] as string;
  await link.client.spublish(channel, "").catch((error: Error) => {
    if (!error.message.startsWith("NOPERM")) throw error;
    throw new Error(
      `The user of Redis may not publish on the channel ${channel}: ${error.message}`,
    );
  });
}

interface ProbePlace {
  readonly link: RedisLink;
  readonly keys: Keys;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly nodeClock: NodeClock;
}
