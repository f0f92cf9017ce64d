/**
 * What is in Redis when everything has ended: nothing queued, leased or on its way, one timer of each
 * execution (the one that removes it one day), and of removed ones nothing but the tombstone.
 */
import type { Redis } from "ioredis";
import { makeKeys, typeOfKey } from "../../src/store/redis/keys.ts";
import type { Ledger } from "./ledger.ts";

const mustBeEmpty = /:(?:q:.*|queues|held|leases|waits|dropped|out|graves)$/s;
/** Leases of what was cancelled leave with their last moment; removals are done in portions. */
const patienceMs = 40_000;
const shownMax = 10;
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
  const giveUpAt = performance.now() + patienceMs;
  let problems: readonly string[];
  do {
    problems = (await Promise.all((await masters()).map((node) => problemsOf(node, place)))).flat();
    if (problems.length === 0) return;
    await Bun.sleep(1_000);
  } while (performance.now() < giveUpAt);
  for (const problem of problems.slice(0, shownMax)) ledger.violate(`left in Redis: ${problem}`);
  if (problems.length > shownMax) ledger.violate(`and ${problems.length - shownMax} more like it`);
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
    // Another node of the cluster has it, or nobody does.
    if ((await node.zcard(`${base}:all`).catch(() => 0)) === 0) continue;
    const [executions, timers] = [
      await node.zcard(`${base}:all`),
      await node.zcard(`${base}:timers`),
    ];
    if (executions !== timers) {
      problems.push(`${base} has ${executions} executions and ${timers} timers`);
    }
  }
  return problems;
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
  const fields = (await node.hkeys(key)).filter((field) => !["R", "g"].includes(field));
  if (fields.length > 0) return `the tombstone ${key} has ${fields.join(", ")}`;
  return (await node.pttl(key)) > 0 ? undefined : `the tombstone ${key} stays for ever`;
}
