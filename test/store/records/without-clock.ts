import type { RecordsDriver } from "../../../src/store/records/driver.ts";

/** The driver without the clock of its database: what time it is, is said by the clock of the test. */
export function withoutClock(driver: RecordsDriver): RecordsDriver {
  return Object.create(driver, { timeOffset: { value: undefined } }) as RecordsDriver;
}
