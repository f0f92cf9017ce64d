/** What an execution remembers of the signals and operations that were applied to it. */
import type { Execution } from "../../src/model/execution.ts";

/** `id` with its kind, as in `signal:<id>`; the execution with all its data. */
export function hasCause({ state, data }: Execution, id: string): boolean {
  if (state.causes.includes(id)) return true;
  for (const [name, text] of data) {
    if (!name.startsWith("causes:")) continue;
    if (JSON.parse(text).some(([known]: [string]) => known === id)) return true;
  }
  return false;
}
