/**
 * Every key of the Redis store, with its type. All keys of a partition begin with its base, which
 * holds the hash tag, so that a partition lives on one node and a script may touch all of it.
 *
 *   <base>                  channel: names of queues that have something claimable
 *   <base>:notes            channel: notes of servers to each other
 *   <base>:none             never there; see callKeys
 *   <base>:x:<id>           hash     an execution, or its tombstone (see scripts/lib/executions.lua)
 *   <base>:h:<id>           list     that part of its history which is not in the hash
 *   <base>:q:<queue>        zset     claimable tasks, by priority and place
 *   <base>:queues           set      names of queues with claimable tasks
 *   <base>:held             zset     queued tasks of executions on hold, by moment of queueing
 *   <base>:leases           zset     leased tasks, by the moment at which claimDue gives them
 *   <base>:waits            zset     queued tasks with a timeout that runs, likewise
 *   <base>:timers           zset     timers, likewise
 *   <base>:dropped          zset     dropped tasks, by the end of their leases
 *   <base>:out              zset     messages, by place
 *   <base>:seq              string   the last place given
 *   <base>:graves           zset     removals that are not finished, by the end of the tombstone
 *   <base>:buried           hash     how many tombstones end when (see scripts/lib/tombstones.lua)
 *   <base>:all              zset     executions, by member: the start, then the id
 *   <base>:w:<workflow>     zset     likewise, of one workflow
 *   <base>:s:<status>       zset     likewise, of one status
 *   <base>:c:<correlation>  zset     likewise, of one correlation id
 *   <base>:p:<parent>       zset     likewise, the children of one
 *   <base>:pairs            zset     likewise, by status, workflow and member
 *   <base>:paired           string   how far executions of earlier versions are in <base>:pairs:
 *                                    "done", or the member that was entered last
 *   <base>:claim:<kind>:<id> string  what a claim was given; expires
 *   <base>:probe:…           all of these once more, for the probe at the start of a server
 *   <namespace>:{meta}:settings      hash  partitions: how many; layout: the format (model/format.ts)
 *   <namespace>:{meta}:servers       hash  live servers
 *   <namespace>:{meta}:docs:<kind>   hash  documents
 *   <namespace>:{meta}:ids:<kind>    zset  their ids, in order
 */ import type { ListPlace } from "../store.ts";

export const slots = 16_384;

/** CRC16 (XMODEM) of the tag, as Redis Cluster computes the slot of a key. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    crc &= 0xffff;
  }
  return crc % slots;
}

/**
 * A hash tag for each partition: the first numbers whose slots fall into each of as many equal
 * stretches of the slot space. Nodes that own equal shares of the slots then own equal shares of the
 * partitions, give or take one; consecutive numbers as tags fell 4, 5 and 7 of 16 on three nodes.
 */
export function partitionTags(partitions: number): readonly string[] {
  const tags: string[] = Array(partitions).fill("");
  for (let number = 0, missing = partitions; missing > 0; number++) {
    const stretch = Math.floor((slotOf(`${number}`) * partitions) / slots);
    if (tags[stretch] !== "") continue;
    tags[stretch] = `${number}`;
    missing--;
  }
  return tags;
}

export interface Keys {
  /** By partition. */
  readonly bases: readonly string[];
  readonly settings: string;
  readonly servers: string;
  documents(kind: string): readonly [documents: string, ids: string];
  /** What all keys of documents begin with, but for their kinds. */
  readonly documentsPrefix: string;
}

export function makeKeys(namespace: string, partitions: number): Keys {
  const bases = partitionTags(partitions).map((tag) => `${namespace}:{${tag}}`);
  const meta = metaBase(namespace);
  return {
    bases,
    settings: settingsKey(namespace),
    servers: `${meta}:servers`,
    documentsPrefix: `${meta}:docs:`,
    documents: (kind) => [`${meta}:docs:${kind}`, `${meta}:ids:${kind}`],
  };
}

export function notesChannel(base: string): string {
  return `${base}:notes`;
}

/** Where a probe works: no other call ever meets what an interrupted one leaves there. */
export function probeKeys(keys: Keys): Keys {
  return { ...keys, bases: keys.bases.map((base) => `${base}:probe`) };
}

/**
 * What a call of a script on a partition declares. Two keys that are never there make a cluster
 * refuse it (TRYAGAIN) while the slot is being moved: a script sees either all of the partition or
 * nothing. With one key it would run where the slot goes to, on the keys that have arrived so far.
 */
export function callKeys(base: string): readonly string[] {
  return [base, `${base}:none`];
}

function metaBase(namespace: string): string {
  return `${namespace}:{meta}`;
}

export function settingsKey(namespace: string): string {
  return `${metaBase(namespace)}:settings`;
}

/** The type of each kind of key, by the part behind its base; anything else is not ours. */
const types: readonly (readonly [RegExp, string])[] = [
  [/^:(?:x:.*|buried|settings|servers|docs:.*)$/s, "hash"],
  [/^:h:.*$/s, "list"],
  [/^:(?:[qwscp]:.*|held|leases|waits|timers|dropped|out|graves|all|pairs|ids:.*)$/s, "zset"],
  [/^:queues$/, "set"],
  [/^:(?:seq|paired|claim:(?:tasks|due|outbox):.*)$/s, "string"],
];

/** The Redis type of the key by this file; undefined for an unknown key. */
export function typeOfKey(namespace: string, key: string): string | undefined {
  if (!key.startsWith(`${namespace}:{`)) return undefined;
  const rest = key.slice(key.indexOf("}") + 1).replace(/^:probe(?=:)/, "");
  return types.find(([pattern]) => pattern.test(rest))?.[1];
}

/** Digits of the start in the members of lists; scripts/list.lua knows where the id begins. */
const startDigits = 16;

function startText(startedAt: number): string {
  return String(startedAt).padStart(startDigits, "0");
}

/** Members sort by their bytes: older starts first, and of one moment the smaller ids. */
export function listMember({ startedAt, id }: ListPlace): string {
  return `${startText(startedAt)}:${id}`;
}

export function placeOfMember(member: string): ListPlace {
  const startedAt = Number(member.slice(0, startDigits));
  return { startedAt, id: member.slice(startDigits + 1) };
}

/** All members of a later start are behind it. */
export function afterStart(startedAt: number): string {
  return startText(startedAt + 1);
}

/** Members of the sets that name an execution and what it owns; no id holds a NUL. */
export function ownedMember(executionId: string, id: string): string {
  return `${executionId}\0${id}`;
}
