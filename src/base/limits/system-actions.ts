/** What actions of the server itself may take. */
export const systemActionLimits = {
  // The sandbox.
  /** CPU time of a script. */
  scriptMs: 1_000,
  /** Time after that in which its process is killed. */
  scriptGraceMs: 500,
  /** Memory of a script. */
  scriptMemoryBytes: 64 * 1024 * 1024,
  /** Stack of a script. */
  scriptStackBytes: 512 * 1024,
  /** Output of a script. */
  scriptOutputBytesMax: 3 * 1024 * 1024,
  /** Highest `--script-processes`. */
  scriptProcessesMax: 256,
  /** Script processes by default: one for each core, at most this many. */
  scriptProcessesDefaultMax: 16,
  /**
   * Scripts that may wait in memory for each process, however long they take. Others wait in the
   * store.
   */
  scriptsQueuedMin: 16,
  /** Scripts that may wait in memory for each process if they are quick. */
  scriptsQueuedMax: 500,
  /** Memory for scripts that wait. */
  scriptQueueBytesMax: 64 * 1024 * 1024,
  /** Time after which another server evaluates a script whose server is gone. */
  scriptGuardMs: 30_000,
  /** Shortest time until a script that waits in the store is looked at again. */
  scriptWaitMsMin: 15_000,
  /** Longest such time. */
  scriptWaitMsMax: 60_000,

  // Actions that servers run themselves, and http.
  /** Tasks of one server's own worker at the same time. */
  innerTasksMax: 64,
  /** Parameters and responses of those tasks; above it no more are taken. */
  innerBytesMax: 64 * 1024 * 1024,
  /** Time between two of its heartbeats. */
  innerBeatMs: 10_000,
  /** `timeoutSeconds` of an http action. */
  httpTimeoutSecondsDefault: 30,
  /** `responseBytesMax` of an http action. */
  httpResponseBytesDefault: 1024 * 1024,
  /** Highest `responseBytesMax`. */
  httpResponseBytesMax: 3 * 1024 * 1024 - 64 * 1024,
  /** Redirects of one request. */
  httpRedirectsMax: 5,
  /** Statuses in `expect`. */
  httpExpectedMax: 50,
  /** Start of the body of a failed request that its details keep. */
  httpDetailsCharsMax: 4_096,
} as const;
