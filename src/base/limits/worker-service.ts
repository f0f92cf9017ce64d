/** What workers may ask for, over Connect and gRPC. */
export const workerServiceLimits = {
  // The worker service.
  /** Actions of one poll. */
  pollActionsMax: 1_000,
  /** Queues of one poll. */
  pollQueuesMax: 100,
  /** Pairs of a queue and an action in one poll, as it waits in a line for each of them. */
  pollPairsMax: 5_000,
  /** Memory for the names of all parked polls; beyond it the largest poll returns. */
  parkedPollBytesMax: 256 * 1024 * 1024,
  /** Tasks of one poll. */
  pollTasksMax: 1_000,
  /** `waitSeconds` of a poll. */
  pollWaitSecondsMax: 60,
  /** Cancelled tasks in one response to a poll. */
  cancelledPerResponseMax: 1_000,
  /** Lowest `leaseSeconds` of a poll. */
  leaseSecondsMin: 1,
  /** Highest `leaseSeconds` of a poll. */
  leaseSecondsMax: 24 * 3600,
  /** Results of one call. */
  resultsPerCallMax: 1_000,
  /** Heartbeats of one call. */
  heartbeatsPerCallMax: 10_000,
  /** Released tasks of one call. */
  releasesPerCallMax: 10_000,
  /** Actions of one registration. */
  registeredActionsPerCallMax: 1_000,
  /** Parked polls of a server. */
  parkedPollersMax: 20_000,
  /** `progress` of a heartbeat. */
  progressBytesMax: 64 * 1024,
  /** Time after its last poll for which a worker is listed. */
  workerSeenMs: 5 * 60_000,
  /** Different polls of one worker that are listed. */
  workerPollsMax: 1_000,
  /** Memory for the list of workers. */
  workersBytesMax: 16 * 1024 * 1024,
  /** Response with the list of workers. */
  workersListedBytesMax: 4 * 1024 * 1024,
  /** Memory for definitions of actions that were read. */
  cachedActionBytesMax: 64 * 1024 * 1024,
  /** Memory for the newest heartbeats; those of the longest silence are dropped first. */
  beatsBytesMax: 16 * 1024 * 1024,
  /**
   * JSON values of one call after decoding, about as many as the largest payloads usually have;
   * names of members count twice.
   */
  rpcPartsMax: 1_500_000,
  /** Items of one list in a call; more than the limit of any list. */
  rpcItemsMax: 16_384,
  /** Timeout that a caller may announce. */
  rpcTimeoutMsMax: 24 * 3600 * 1000,
  /** Headers of a call. */
  rpcHeaderBytesMax: 16 * 1024,
  /** Calls of one gRPC connection at a time. */
  grpcStreamsPerConnectionMax: 256,
  /** Calls that a gRPC client may abort at once before it is disconnected. */
  grpcResetsMax: 300,
  /** Calls that it may abort each second after that. */
  grpcResetsPerSecondMax: 50,
  /**
   * Memory of a gRPC connection; beyond it responses are lost silently, so it is above what all
   * connections may hold.
   */
  grpcSessionMebibytesMax: 256,
  /** Calls with too large headers before a gRPC connection is closed. */
  grpcRejectedStreamsMax: 10,
  /** Time in which a gRPC connection must have greeted, TLS included. */
  grpcGreetingMs: 10_000,
  /** Time without a call after which a gRPC connection is closed. */
  grpcIdleMs: 5 * 60_000,
  /** Streams of gRPC health. */
  healthWatchersMax: 1_000,
} as const;
