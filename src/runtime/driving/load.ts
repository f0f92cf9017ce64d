/** Reading an execution whole: its state, the records of all its actions, some fields of its data. */
import { decodeExecution, recordFields } from "../../engine/stored/codec.ts";
import { type ExecutionKey, unwrittenField } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store } from "../../store/store.ts";
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
  const execution = decodeExecution(answer.state, withUnwritten(answer.data, names));
  const more = recordFields(execution.state);
  if (more.length === 0) return { head: answer.head, execution };
  const whole = await store.load({ key, fields: [...names, ...more] });
  if (whole.outcome !== "loaded") return "gone";
  const { head, state, data } = whole;
  return { head, execution: decodeExecution(state, withUnwritten(data, names)) };
}

/** Of fields that were never written it is known what they mean. */
export function withUnwritten(
  data: ReadonlyMap<string, JsonText>,
  names: readonly string[],
): ReadonlyMap<string, JsonText> {
  const unwritten = names.flatMap((name) => {
    const text = data.has(name) ? undefined : unwrittenField(name);
    return text === undefined ? [] : [[name, text] as const];
  });
  return unwritten.length === 0 ? data : new Map([...data, ...unwritten]);
}
