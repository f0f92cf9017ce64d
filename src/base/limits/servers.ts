/** What a server does by itself: deadlines, other servers, memory for what it reads often. */
export const serverLimits = {
  // Loops.
  /** Longest sleep of a loop. */
  sleepMsMax: 60_000,
  /** Time for which claimed timers are hidden from other servers. */
  timerHideMs: 10_000,
  /** Time for which claimed messages are hidden from other servers. */
  outboxHideMs: 10_000,
  /** Deliveries of a message before it is given up. */
  outboxAttemptsMax: 20,
  /** Difference of a server's `now` from the clock of a store. */
  clockSkewMsMax: 1_000,
  /** Time between two looks at whether this server runs. */
  standstillLookMs: 200,
  /** Lateness of such a look that counts as a standstill. */
  standstillMsMin: 1_000,
  /** Longest delay of deadlines after a standstill. */
  standstillMs: 5_000,
  /** Time for what is under way when a server stops. */
  drainMs: 10_000,
  /** Time between two beats of a server in the registry. */
  serverBeatMs: 2_000,
  /** Time without a beat after which a server counts as gone. */
  serverTtlMs: 10_000,
  /** The same on a shared store: others take over within two seconds. */
  sharedServerBeatMs: 400,
  /** The same on a shared store. */
  sharedServerTtlMs: 1_500,
  /** The same on a shared store whose looks are billed: others take over within 15 seconds. */
  billedServerBeatMs: 3_000,
  /** The same on such a store. */
  billedServerTtlMs: 10_000,
  /**
   * Time without older servers before the format of a shared store rises: longer than the five
   * minutes after which supervisors restart what has ended.
   */
  formatDelayMsDefault: 10 * 60_000,
  /** Message of a server to another one of its store. */
  peerMessageBytesMax: 256 * 1024,
  /** Age of such a message, by the clocks of both, above which it is refused. */
  peerWindowMs: 30_000,
  /** Further looks. */
  watchedLookMs: 500,
  /** Time without any poll after which waiting tasks are reported. */
  unpolledMs: 10_000,
  /** Time between two looks for such tasks. */
  unpolledLookMs: 1_000,
  /** Shared store: time in which workers of other servers may still poll. */
  unpolledSecondMs: 5_000,
  /** Time between two warnings about one queue, if it was polled in between. */
  unpolledWarnMs: 10 * 60_000,
  /** Queues that are remembered for this. */
  unpolledQueuesMax: 1_000,
  /** Time without a poll that takes JSON after which tasks that fit no Struct fail. */
  uncarriedMs: 60_000,

  // Caches.
  /** Executions in the memory of a server. */
  cachedExecutionsMax: 50_000,
  /** Memory for them. */
  cachedExecutionBytesMax: 64 * 1024 * 1024,
  /** Compiled workflows in the memory of a server. */
  cachedPlansMax: 1_000,
} as const;
