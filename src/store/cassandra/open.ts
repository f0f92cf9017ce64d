/** Opens the Cassandra store that a URL names: the records store on the driver for it. */
import { systemClock, systemIds } from "../../base/clock.ts";
import { openRecordsStore } from "../records/records-store.ts";
import type { Store } from "../store.ts";
import { type CassandraOptions, openCassandraDriver } from "./driver.ts";

/** Throws an Error of one sentence when it cannot be used. */
export async function openCassandraStore(url: string, options: CassandraOptions): Promise<Store> {
  const { clock = systemClock, ids = systemIds } = options;
  const driver = await openCassandraDriver(url, { ...options, clock, ids });
  return openRecordsStore(driver, { nonce: ids.nonce(), clock });
}
