/** What one execution, and one commit of it, may hold. */
export const executionLimits = {
  // One commit (sketched for stores with bounded transactions: 100 items on DynamoDB).
  /** Effects of a commit: tasks, timers, messages, history. */
  commitEffectsMax: 50,
  /** Fields of data, effects and texts of history of a commit, together. */
  commitRowsMax: 90,
  /** Size of a commit. */
  commitBytesMax: 4 * 1024 * 1024,
  /** Commit ids of an execution that are remembered. */
  commitIdsKept: 16,
  /** Attempts to commit after conflicts. */
  commitConflictRetriesMax: 20,
  /** Events that one commit applies. */
  mailboxEventsPerCommitMax: 50,
  /** Events that wait for one execution. */
  mailboxEventsMax: 10_000,

  // One execution.
  /** Signals that no wait has consumed. */
  signalsBufferedMax: 100,
  /** Time for which ids of applied signals and operations are remembered. */
  causeSeconds: 24 * 3600,
  /** Ids in the state, which servers of format 2 read. */
  causesInStateMax: 200,
  /** Failed actions that the reason for a skipped action names. */
  skipCausesNamedMax: 10,
  /** Attempts that are kept of an action. */
  attemptsKept: 10,
  /** Actions whose records are part of the state, which each commit writes. */
  recordChunkActions: 64,
  /** Entries in the history of an execution. */
  historyEntriesMax: 10_000,
  /** Input and outputs that a fork takes over. */
  forkBytesMax: 8 * 1024 * 1024,
  /** Items of a map. */
  mapItemsMax: 100_000,
  /** `maxConcurrency` of a map, unless it is given. */
  mapConcurrencyDefault: 100,
  /** Highest `maxConcurrency` of a map. */
  mapConcurrencyMax: 1_000,
  /** Output of a map that references can read. */
  mapOutputCharsMax: 16 * 1024 * 1024,
  /** Item that a worker gets beside the parameters of its task. */
  mapContextCharsMax: 64 * 1024,
  /** Failed items that the failure of their map names, and the history. */
  mapFailuresShown: 10,
  /** `outputs` in the input of a follow-up; what does not fit is named in `omitted`. */
  followUpOutputsBytesMax: 1024 * 1024,
  /** Follow-ups in a chain. */
  followUpDepthMax: 3,
  /** Executions that a signal action sends to. */
  signalTargetsMax: 100,
  /** Parents above an execution. */
  nestingMax: 20,
  /** Retention of a completed execution. */
  retentionSecondsDefault: 7 * 24 * 3600,
  /** Retention of one that did not complete. */
  retentionFailedSecondsDefault: 30 * 24 * 3600,
  /** Shortest retention, so that callers that wait at other servers get the result. */
  retentionMsMin: 1_500,
  /** Time for which a deleted id is remembered that a caller or a message chose. */
  tombstoneSecondsDefault: 24 * 3600,
  /** Lowest `--tombstone-seconds`. */
  tombstoneSecondsMin: 600,
  /** Highest `--tombstone-seconds`. */
  tombstoneSecondsMax: 366 * 24 * 3600,
  /** Time for which a deleted id is remembered that the server made. */
  generatedTombstoneSeconds: 600,
  /** Hash of a request in a tombstone: 128 bits, as there may be many. */
  keptHashChars: 32,
} as const;
