/**
 * How often a server looks at its store without a reason of its own: for what other servers put
 * there, and for whether they live. What a server puts there itself, it looks for when it is due.
 */
import { limits } from "../../base/limits.ts";
import type { Traits } from "../../store/store.ts";

interface Pace {
  /** Time between two beats in the registry of servers. */
  readonly beatMs: number;
  /** Time without a beat after which a server counts as gone. */
  readonly ttlMs: number;
  /** Time between two looks at a partition that prefers this server. */
  readonly preferredLookMs: number;
  /** Time between two rounds of the sweeper. */
  readonly sweepMs: number;
  /** Executions that one round checks. */
  readonly sweptPerRound: number;
  /** Time in which each partition is searched for queues that no poll knows of. */
  readonly queueSweepMs: number;
  /** Time between two looks for sources. */
  readonly sourceLookMs: number;
}

const embedded: Pace = {
  beatMs: limits.serverBeatMs,
  ttlMs: limits.serverTtlMs,
  preferredLookMs: limits.sleepMsMax,
  sweepMs: 5_000,
  sweptPerRound: 100,
  queueSweepMs: 10_000,
  sourceLookMs: limits.sourceLookMs,
};

const shared: Readonly<Record<Traits["looks"], Pace>> = {
  cheap: {
    ...embedded,
    beatMs: limits.sharedServerBeatMs,
    ttlMs: limits.sharedServerTtlMs,
    preferredLookMs: 1_000,
  },
  billed: {
    beatMs: limits.billedServerBeatMs,
    ttlMs: limits.billedServerTtlMs,
    preferredLookMs: 15_000,
    sweepMs: 15_000,
    sweptPerRound: 10,
    queueSweepMs: 60_000,
    sourceLookMs: limits.billedSourceLookMs,
  },
};

export function paceOf(traits: Pick<Traits, "shared" | "looks">): Pace {
  return traits.shared ? shared[traits.looks] : embedded;
}
