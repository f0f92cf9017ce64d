/** Space in the store, and its partitions. */
export const storeLimits = {
  // Room in the store: above this share of it nothing new is started, and the server is not ready.
  /** SQLite: share of the room in use above which starts are refused. */
  storeUsedMax: 0.95,
  /**
   * Redis: the same share; it needs some memory for itself, and refuses all writes at its bound.
   */
  redisUsedMax: 0.8,
  /**
   * Kept free on the disk of an embedded store, for its log and what runs already. On a disk
   * smaller than twice that, half of it, and the next ones in proportion.
   */
  diskReservedBytes: 128 * 1024 * 1024,
  /** Part of it for the write-ahead log. */
  logBytesMax: 64 * 1024 * 1024,
  /** Part of it that only the log may use: the file stops growing. */
  diskFloorBytes: 16 * 1024 * 1024,
  /** Part of that which an empty file holds, to be deleted when the disk is full all the same. */
  ballastBytes: 8 * 1024 * 1024,
  /** Free room in the file below which it takes the next step. */
  fileAheadBytes: 4 * 1024 * 1024,
  /** Part of that which starts leave to what runs already, where the disk has no more. */
  fileRunningBytes: 2 * 1024 * 1024,
  /** Growth of the log beyond its bound while a reader of the file holds it. */
  logBytesPerSecond: 8 * 1024 * 1024,
  /** Length of the log above which starts are refused. */
  logBytesForStartsMax: 1024 * 1024 * 1024,
  /** Share that must be free again before refused starts are accepted. */
  startsRegained: 0.01,
  /** Share that early removals free. */
  spaceRegained: 0.05,
  /** Timers in one page. */
  timersListedMax: 200,
  /** Time after its end in which no execution is removed early. */
  earlyRetentionAgeMs: 10_000,

  // Partitions.
  /** Partitions of a shared store. */
  partitionsDefault: 64,
  /**
   * Partitions of an embedded store: one process has nothing to spread over, and neighbours share
   * pages.
   */
  partitionsEmbeddedDefault: 1,
  /** Partitions of a shared store that bills each look at one. */
  partitionsBilledDefault: 16,
  /** Highest `--partitions`. */
  partitionsMax: 4_096,
} as const;
