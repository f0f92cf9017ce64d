/**
 * What is in Redis when everything has ended: nothing queued, leased or on its way, one timer of
 * each execution (the one that removes it one day), and of removed ones nothing but the tombstone.
 * The index by status and workflow holds what those by each of them hold.
 */
import type { Redis } from "ioredis";
import { limits } from "../../src/base/limits.ts";
import { makeKeys, typeOfKey } from "../../src/store/redis/keys.ts";
import type { Ledger } from "./ledger.ts";
import { checkNothingLeft } from "./nothing-left.ts";

const mustBeEmpty = /:(?:q:.*|queues|held|leases|waits|dropped|out|graves)$/s;
const keysPerRound = 500;

interface Place {
  readonly namespace: string;
  readonly partitions: number;
}

export async function checkLeftovers(
  masters: () => Promise<readonly Redis[]>,
  place: Place,
  ledger: Ledger,
): Promise<void> {
  await checkNothingLeft("Redis", ledger, async () => {
    const problems = (await masters()).map((node) => problemsOf(node, place));
    return (await Promise.all(problems)).flat();
  });
}

async function problemsOf(node: Redis, place: Place): Promise<string[]> {
  const problems: string[] = [];
  for (let cursor: string | undefined; cursor !== "0"; ) {
    const [next, keys]: [string, string[]] = await node.scan(cursor ?? "0", "COUNT", keysPerRound);
    cursor = next;
    const found = await Promise.all(keys.map((key) => problemOf(node, key, place.namespace)));
    for (const one of found) if (one !== undefined) problems.push(one);
  }
  const { bases } = makeKeys(place.namespace, place.partitions);
  for (const base of bases) {
    // Another node of the cluster has it, or none does.
    if ((await node.zcard(`${base}:all`).catch(() => 0)) === 0) continue;
    const [executions, timers] = [
      await node.zcard(`${base}:all`),
      await node.zcard(`${base}:timers`),
    ];
    if (executions !== timers) {
      problems.push(`${base} has ${executions} executions and ${timers} timers`);
    }
    problems.push(...(await problemsOfPairs(node, base, executions)));
  }
  return problems;
}

async function problemsOfPairs(node: Redis, base: string, executions: number): Promise<string[]> {
  const pairs = await node.zrange(`${base}:pairs`, "0", "-1");
  const inBoth = pairs.map(async (pair) => {
    const [status, workflow, member] = pair.split("\0") as [string, string, string];
    const scores = [`s:${status}`, `w:${workflow}`].map((of) =>
      node.zscore(`${base}:${of}`, member),
    );
    return (await Promise.all(scores)).every((score) => score !== null);
  });
  const wrong = (await Promise.all(inBoth)).filter((isInBoth) => !isInBoth).length;
  if (wrong === 0 && pairs.length === executions) return [];
  return [`${base} has ${executions} executions, ${pairs.length} pairs, ${wrong} of them wrong`];
}

async function problemOf(node: Redis, key: string, namespace: string): Promise<string | undefined> {
  const type = typeOfKey(namespace, key);
  if (type === undefined) return `${key} is not a key of Orchy's`;
  // A server that was killed in the middle of its probe leaves this to the next one.
  if (key.includes("}:probe:")) return undefined;
  if (mustBeEmpty.test(key)) return `${key} is not empty`;
  const [, base, letter, id] = /^([^}]*\}):([xh]):(.*)$/s.exec(key) ?? [];
  if (letter === "h") {
    const isThere = (await node.hexists(`${base}:x:${id}`, "l")) === 1;
    return isThere ? undefined : `${key} is the history of what is gone`;
  }
  if (letter !== "x" || (await node.hexists(key, "g")) === 0) return undefined;
  // The hash of its start and its last status may be kept, both of them.
  const { R: _, g: __, q: hash, s: status, ...more } = await node.hgetall(key);
  const fields = Object.keys(more);
  if (fields.length > 0) return `the tombstone ${key} has ${fields.join(", ")}`;
  const isKept = hash !== undefined && hash.length <= limits.keptHashChars && status !== undefined;
  if (!isKept && (hash ?? status) !== undefined) return `the tombstone ${key} keeps half a start`;
  return (await node.pttl(key)) > 0 ? undefined : `the tombstone ${key} stays for ever`;
}
