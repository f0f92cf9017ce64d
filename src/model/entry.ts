/** Entries of an execution's history: one for each change, in order. */

export interface HistoryEntry {
  readonly sequence: number;
  readonly at: number;
  readonly kind: string;
  readonly action?: string;
  readonly attempt?: number;
  readonly details?: unknown;
  /** Of an operation by hand: the name of the key with which it was done. */
  readonly who?: string;
}
