/** The facet of the store as a machine: what it promises, how full it is, what is wrong with it. */

export interface Traits {
  readonly name: string;
  /** What an acknowledged write survives; one sentence, shown at /health/ready. */
  readonly durability: string;
  /** Whether other servers can share this store. */
  readonly shared: boolean;
  /**
   * `strict`: a claim gives exactly the tasks that come first in their queue. `roughly`: some that come
   * first, as where claims pass over what others are about to take.
   */
  readonly claimOrder: "strict" | "roughly";
  /**
   * What it costs to ask without a reason: servers ask a `billed` store less often, and take over from
   * a dead server within 15 seconds instead of two.
   */
  readonly looks: "cheap" | "billed";
  /**
   * False: it counts up to some 1,000; a count of more says "at least so many", and is marked with
   * `atLeast`.
   */
  readonly countsExact: boolean;
  /**
   * False: it keeps no record of which leased tasks belong to a queue, so that counting them would read
   * every execution. `QueueStats.leased` is absent, and queues without queued tasks are not listed.
   */
  readonly countsLeased: boolean;
  /** Share of its room (see `pressure`) above which nothing new is to be started. */
  readonly usedMax: number;
}

export interface Pressure {
  /** Share of the store's room in use, 0 to 1 or more, where it has a bound; 0 otherwise. */
  readonly used: number;
  /** How many tombstones are part of it; approximate, or absent, where it cannot count them. */
  readonly tombstones?: number;
  /** There are at least so many tombstones: it counts no further. */
  readonly atLeast?: true;
  /** Bytes that new executions may still take; absent: only the share is known. */
  readonly left?: number;
  /** False: what is full is not what removed executions would make room in. */
  readonly removalHelps?: boolean;
}

export interface NodeStore {
  readonly traits: Traits;
  /** Fixed when the namespace was created. */
  readonly partitions: number;
  pressure(): Promise<Pressure>;
  /**
   * How far the store's clock is ahead of this process's, in milliseconds: a server adds it to its
   * own, so that all servers agree on `now`. Absent: the store has no separate clock.
   */
  timeOffset?(): number;
  /** Where the store has no separate clock: the latest `now` that it was given before. */
  readonly timeReached?: number;
  /** A condition that an operator should mend, in a sentence or two; undefined: none. */
  complaint?(): string | undefined;
  /** Why it refuses everything until it is opened anew; undefined: it does not. */
  broken?(): string | undefined;
  /** Length of its write-ahead log, as far as it has to be kept; absent: it has none. */
  logBytes?(): number;
  /** Finishes what is under way and lets go of files and connections. */
  close(): Promise<void>;
}
