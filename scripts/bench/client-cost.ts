/** What a step costs the process that asks for it, however fast its database is. */
import { inTurns } from "../../src/store/kit/in-turns.ts";
import type { Store } from "../../src/store/store.ts";
import { type Measure, measureLife } from "./store-costs.ts";
import { median } from "./support.ts";

const executions = 2_000;
const steps = 10;
/** The first of them compile. */
const rounds = 4;
/** Under way at a time. */
const lanes = 64;
const numbers = Array.from({ length: executions }, (_, i) => i);

/** Microseconds of this process's processor for a handed-over step, all of its threads together. */
export async function handedOverMicros(store: Store): Promise<number> {
  const costs: number[] = [];
  const measure: Measure = async (operation, work) => {
    if (operation !== "create" && operation !== "handed-over step") return;
    const before = process.cpuUsage();
    await inTurns(lanes, numbers, work);
    const { user, system } = process.cpuUsage(before);
    if (operation !== "create") costs.push((user + system) / executions);
  };
  for (let i = 0; i < rounds; i++) await measureLife(store, measure, { executions, steps });
  return median(costs);
}
