/** Keys of callers, and the audit log. */
export const keyLimits = {
  // Keys.
  /** Name of a key. */
  keyNameCharsMax: 128,
  /** Actions of a key. */
  keyActionsMax: 1_000,
  /**
   * Time for which a key that was read is trusted; a revocation takes effect everywhere after it.
   */
  keyFreshMs: 3_000,
  /** Keys in the memory of a server. */
  cachedKeysMax: 1_000,
  /**
   * Refusals of one address that leave audit lines within `auditRefusalMs`; the rest is counted.
   */
  auditRefusalsMax: 10,
  /** See `auditRefusalsMax`. */
  auditRefusalMs: 60_000,
  /** Lines that wait for the file of `--audit-log`. */
  auditBacklogCharsMax: 8 * 1024 * 1024,
  /** Addresses whose refusals are counted separately. */
  auditAddressesMax: 1_000,
  /** Refused host names and origins that the log names, each once. */
  refusedNamesLoggedMax: 100,
} as const;
