/** Payloads, and reading them by references. */
export const dataLimits = {
  // Payloads.
  /** An input, parameters, an output or a signal, as JSON. */
  payloadBytesMax: 3 * 1024 * 1024,
  /** A request of a worker. */
  requestBytesMax: 16 * 1024 * 1024,
  /** Response to a poll; it carries at least one task. gRPC clients accept 4 MiB by default. */
  pollResponseBytesMax: 3_670_016,
  /** Levels of a JSON value. */
  jsonDepthMax: 128,
  /**
   * Levels of a JSON value as Struct: up to three nested messages each, of which clients accept
   * 100.
   */
  structDepthMax: 32,

  // Reading data by references, in steps: one for each character that is read; see language/data/work.ts.
  /** Steps for the references of one action. */
  actionWorkMax: 16 * 1024 * 1024,
  /** Data that the references of one action may need; no more is loaded. */
  actionDataCharsMax: 64 * 1024 * 1024,
  /** Steps after which a decision starts no further action; the next decision continues. */
  decisionWorkMax: 4 * 1024 * 1024,
} as const;
