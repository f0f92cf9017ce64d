/**
 * Hostile peers at both ports of a real server. While each does its worst, the server's memory
 * stays within a bound and others are served about as fast as beside an honest client that works as
 * hard; afterwards the server works as before and has let go of every connection.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { median } from "../../scripts/bench/support.ts";
import { until } from "../interop/support/desk.ts";
import { bothBodyAttacks, grpcBodyAttacks, httpBodyAttacks } from "./bodies.ts";
import { frameAttacks, http1Attacks } from "./frames.ts";
import { createWorkerClient, type Load } from "./honest.ts";
import { Attacker, mebibyte, Victim } from "./victim.ts";

const testMs = 300_000;
/** How much slower than beside an honest client others may be served. */
const slowdownMax = 3;
/** Waits shorter than this show the machine, and not the server. */
const noiseMs = 100;
/**
 * Of so many rounds so many must be within the bounds: a busy machine spoils some of them, an
 * attack that works spoils all.
 */
const rounds = 12;
const goodRounds = 2;

/** What the server may take beside what it had before in a good round. */
const memoryMax = 160 * mebibyte;
/**
 * All that it may hold for slow peers, and a few times as much until it is collected: well below
 * what is sent. What an honest client left to collect counts as well: an attack may always cost as
 * much as that client does.
 */
const heldMax = 640 * mebibyte;
/** An honest client's last calls may end after it was looked at. */
const lateBytes = 16 * mebibyte;
/** How many times as much it may take in any round: a busy machine collects late. */
const excessMax = 2;
/** What is asked for at once is also made at once. */
const madeMax = 1024 * mebibyte;
const memory: Readonly<Record<string, number>> = {
  "10,000 connections that do nothing": 256 * mebibyte,
  "bodies of 1 GiB together that never end": heldMax,
  "JSON that is deep or huge": heldMax,
  "messages that are deep or huge": heldMax,
  "bodies that unpack to 32 GiB": heldMax,
  "messages that unpack to 32 GiB": heldMax,
  "answers and events that nobody reads": madeMax,
};

/**
 * What others saw, and what the server took beside what it had before. A round in which a call or a
 * connection failed (a busy machine refuses some) has no `p99`, and is never a good one.
 */
interface Seen {
  readonly p99: number;
  readonly grownBytes: number;
}

/** Keeps a rejection for later: nothing may await it yet. */
const outcomeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => `${error}`,
  );

/** What an honest client does that sends or asks for as much; else it makes calls. */
const likeness: Readonly<Record<string, Load>> = {
  "bodies of 1 GiB together that never end": "large bodies",
  "JSON that is deep or huge": "large bodies",
  "messages that are deep or huge": "large bodies",
  "answers and events that nobody reads": "large answers",
};

const attacks = {
  http: { ...frameAttacks, ...http1Attacks, ...bothBodyAttacks, ...httpBodyAttacks },
  grpc: { ...frameAttacks, ...bothBodyAttacks, ...grpcBodyAttacks },
};

const inMebibytes = (bytes: number) => `${(bytes / mebibyte).toFixed(0)} MiB`;

describe.each(["http", "grpc"] as const)("at the %s port", (kind) => {
  let victim: Victim;
  let attacker: Attacker;
  let poll: () => Promise<unknown>;
  const honestSeen = new Map<Load, Seen[]>();

  beforeAll(async () => {
    victim = await Victim.start();
    const port = kind === "http" ? victim.server.httpPort : victim.server.grpcPort;
    attacker = new Attacker({ kind, port, executionId: victim.executionId });
    const client = createWorkerClient({ kind, port });
    poll = () => client.poll({ actions: ["nobody"] }, { timeoutMs: 10_000 });
    // Both sides are warm before anything is measured.
    await watch(attacker.run("calls"), 0);
  }, testMs);
  afterAll(async () => {
    await attacker?.end();
    await victim?.remove();
  }, testMs);

  /** What another client and the system see of the server while this goes on. */
  async function watch(work: Promise<void>, bytesBefore: number): Promise<Seen> {
    const latencies: number[] = [];
    victim.forgetPeak();
    let over = false;
    const ended = outcomeOf(work).finally(() => {
      over = true;
    });
    const failures: string[] = [];
    while (!over) {
      const startedMs = performance.now();
      const failure = await outcomeOf(poll());
      if (failure !== undefined) failures.push(`another client: ${failure}`);
      latencies.push(performance.now() - startedMs);
      await Bun.sleep(5);
    }
    const failure = await ended;
    if (failure !== undefined) failures.push(failure);
    for (const text of failures) console.log(`abuse: ${kind}: a round is spoilt: ${text}`);
    latencies.sort((a, b) => a - b);
    const p99 = failures.length > 0 ? Number.NaN : latencies[Math.floor(latencies.length * 0.99)]!;
    return { p99, grownBytes: victim.peakBytes - bytesBefore };
  }

  test.each(Object.keys(attacks[kind]))(
    "%s",
    async (name) => {
      const before = { handles: victim.handles, memoryBytes: victim.memoryBytes };
      const seen: Seen[] = [];
      const load = likeness[name] ?? "calls";
      const honest = honestSeen.get(load) ?? [];
      honestSeen.set(load, honest);
      const honestP99 = () => median(honest.map(({ p99 }) => p99).filter(Number.isFinite));
      const grownMax = (of: readonly Seen[]) => Math.max(...of.map((one) => one.grownBytes));
      const grownBound = () => Math.max(memory[name] ?? memoryMax, grownMax(honest) + lateBytes);
      const isGood = ({ p99, grownBytes }: Seen) =>
        p99 <= slowdownMax * honestP99() + noiseMs && grownBytes <= grownBound();
      while (seen.length < rounds && seen.filter(isGood).length < goodRounds) {
        honest.push(await watch(attacker.run(load), before.memoryBytes));
        seen.push(await watch(attacker.run(name), before.memoryBytes));
      }
      const told =
        `${kind}: ${name}: others' p99 ${seen.map(({ p99 }) => p99.toFixed(0)).join(", ")} ms, ` +
        `${inMebibytes(grownMax(seen))} more; beside an honest client's ${load} ` +
        `${honestP99().toFixed(0)} ms, ${inMebibytes(grownMax(honest))} more`;
      console.log(`abuse: ${told}`);
      expect(victim.server.alive, told).toBe(true);
      expect(seen.filter(isGood).length, told).toBeGreaterThanOrEqual(goodRounds);
      expect(grownMax(seen), told).toBeLessThanOrEqual(excessMax * grownBound());
      expect(await victim.works()).toBe(true);
      await until(
        async () => victim.handles,
        (handles) => handles <= before.handles + 4,
      );
    },
    testMs,
  );
});
