/** Sources: messages of brokers that start executions, or are signals. */
export const sourceLimits = {
  // Sources.
  /** Sources of an installation. */
  sourcesMax: 100,
  /** Tries to handle a message before it becomes a dead letter. */
  sourceTriesMax: 5,
  /** Time before the second try; it doubles with each further one. */
  sourceRetryMs: 500,
  /** Messages of a source that are being handled, and not acknowledged. */
  sourceInFlightMax: 256,
  /** Their size. */
  sourceInFlightBytesMax: 32 * 1024 * 1024,
  /**
   * Messages of all sources of a server that it handles at the same moment: callers wait behind them.
   */
  sourceHandledAtOnceMax: 16,
  /** Value of a message; a larger one becomes a dead letter. */
  sourceMessageBytesMax: 1024 * 1024,
  /** Messages of a source that are parked; with as many, it handles no further dead letters. */
  parkedMessagesMax: 1_000,
  /** Time between two looks of a server for sources that it may read. */
  sourceLookMs: 3_000,
  /** The same where looks are billed. */
  billedSourceLookMs: 15_000,
  /** Looks that a server may miss before another one takes its sources over. */
  sourceLooksMissed: 3,
} as const;
