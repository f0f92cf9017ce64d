/** The store of a run with what stands around it. */
import type { Chance } from "../support/chance.ts";
import type { Fault } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import type { WayToStore } from "./proxy.ts";

export interface StoreBed {
  readonly proxies: readonly WayToStore[];
  /** The address of the store for each Orchy server. */
  readonly stores: readonly string[];
  /** Variables of each server. */
  readonly environments?: readonly Readonly<Record<string, string>>[];
  faults(chance: Chance): readonly Fault[];
  /** Once everything has ended. */
  checkLeftovers(ledger: Ledger): Promise<void>;
  stop(): Promise<void>;
}
