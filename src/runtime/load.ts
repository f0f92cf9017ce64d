/** Reading an execution whole: its state, the records of all its actions, some fields of its data. */
import { decodeExecution, recordFields } from "../engine/codec.ts";
import type { ExecutionKey } from "../model/ids.ts";
import type { Store } from "../store/store.ts";
import type { CachedExecution } from "./cache.ts";

/** What is named comes with all records; other fields follow when they are needed. */
export async function loadExecution(
  store: Store,
  key: ExecutionKey,
  names: readonly string[],
): Promise<CachedExecution | "not-found" | "gone"> {
  const answer = await store.load({ key, fields: names });
  if (answer.outcome === "not_found") return "not-found";
  if (answer.outcome === "tombstone") return "gone";
  const execution = decodeExecution(answer.state, answer.data);
  const more = recordFields(execution.state);
  if (more.length === 0) return { head: answer.head, execution, bytes: answer.state.length };
  const whole = await store.load({ key, fields: [...names, ...more] });
  if (whole.outcome !== "loaded") return "gone";
  const { head, state, data } = whole;
  return { head, execution: decodeExecution(state, data), bytes: state.length };
}
