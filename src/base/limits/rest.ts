/** Requests and responses over HTTP. */
export const restLimits = {
  // REST.
  /**
   * A body over REST: two largest payloads and what surrounds them, as in a start with a signal.
   */
  restBodyBytesMax: 7 * 1024 * 1024,
  /** Content codings of one body, one within the other. */
  contentCodingsMax: 3,
  /** Window of zstd, as a power of two: memory, and no more than the largest body needs. */
  zstdWindowLogMax: 24,
  /** Bodies without payloads and definitions: keys, rules of actions, operations. */
  controlBodyBytesMax: 256 * 1024,
  /** JSON values of a body; names of members count twice. Any one payload fits. */
  restPartsMax: 2_200_000,
  /** `limit` of a list, unless it is given. */
  listLimitDefault: 50,
  /** Highest `limit` of a list. */
  listLimitMax: 500,
  /** Lists of executions that are made at the same time; further ones wait. */
  listsAtOnceMax: 2,
  /** Executions that all calls read for one page. */
  listPageLookMax: 5_000,
  /** `wait` of a start or a result. */
  resultWaitSecondsMax: 60,
  /** Payload that `payloads=small` shows; of a larger one it shows the size. */
  smallPayloadBytesMax: 64 * 1024,
  /** Executions that are read for callers at the same time. */
  readsAtOnceMax: 4,
  /** A page of a list; it has at least one item. */
  pageBytesMax: 1024 * 1024,
  /** Time in which the body of a request must arrive. */
  requestBodyMs: 30_000,
  /** Memory for all bodies that are arriving. */
  bodyBacklogBytesMax: 128 * 1024 * 1024,
  /** Time in which a client must read a response. */
  responseMs: 60_000,
  /** Memory for all responses that are not read yet. */
  responseBacklogBytesMax: 64 * 1024 * 1024,
  /** Smallest response that is counted; others are left to the connection. */
  pacedResponseBytesMin: 64 * 1024,
  /** Time after which an idle connection is closed, unless a request waits on it. */
  httpIdleSeconds: 60,
  /** Event streams of a key (without keys: of all callers) on one server. */
  eventStreamsPerKeyMax: 1_000,
  /** Silence on an event stream before a comment shows that it is alive. */
  eventStreamBeatMs: 15_000,
  /** Data that may wait for a slow reader of an event stream before it is closed. */
  eventStreamBytesMax: 1024 * 1024,
} as const;
