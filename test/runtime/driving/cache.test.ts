import { expect, test } from "bun:test";
import type { Execution } from "../../../src/model/execution.ts";
import { ExecutionCache } from "../../../src/runtime/driving/cache.ts";

/** As it is after it was read, or, with `dataChars`, after a commit. */
function executionWith(chars: number, committed: boolean): Execution {
  const data = new Map([["input", "x".repeat(chars)]]);
  const state = {} as Execution["state"];
  return { state, records: [], data, ...(committed && { dataChars: chars }) };
}

test.each([false, true])("the data of executions counts, committed here: %s", (committed) => {
  const cache = new ExecutionCache({ countMax: 1_000, bytesMax: 100_000 });
  const head = { revision: 1, commitId: "c" };
  for (let at = 0; at < 100; at++) {
    cache.put(`e-${at}`, { head, execution: executionWith(20_000, committed) });
  }
  expect(cache.size).toBe(4);
  expect(cache.get("e-99")).toBeDefined();
  expect(cache.get("e-0")).toBeUndefined();
  cache.put("e-100", { head, execution: executionWith(200_000, committed) });
  expect(cache.size).toBe(0);
});
