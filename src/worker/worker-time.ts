/**
 * The time of this process for leases. It does not jump with the machine's clock: one that is set back
 * by an hour would keep heartbeats from being sent for as long.
 */
import { goOn, systemClock } from "../base/clock.ts";

export const workerTime = goOn(systemClock);
