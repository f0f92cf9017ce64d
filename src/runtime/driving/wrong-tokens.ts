/** Results for one task, of which a refused commit does not say which are stale. */
import type { Decision } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { Head, Store } from "../../store/store.ts";
import { answerMail, type Mail } from "./mailbox.ts";

/**
 * Of several results for one task, none of which was settled before the `refused` commit, at most
 * one is from the holder of its lease: the store knows which. Those of others are stale; the
 * rest is returned. All of it, where the execution is no longer at the commit's head: a result may
 * have been settled in between, and its repeat is not stale.
 */
export async function withoutWrongTokens(
  store: Store,
  key: ExecutionKey,
  doubtful: Mail[],
  refused: { readonly head: Head; readonly settled: Decision["settle"] },
): Promise<Mail[]> {
  const open = new Set(refused.settled.map(({ taskId }) => taskId));
  if (doubtful.length < 2 || open.size === 0) return doubtful;
  const { tasks } = await store.holdings(key);
  const again = await store.load({ key, fields: [] });
  if (again.outcome !== "loaded" || !isSameHead(again.head, refused.head)) return doubtful;
  // Of a queued task: null, which a result with a ticket alone has.
  const held = new Set(tasks.map(({ token }) => token ?? null));
  return doubtful.filter((mail) => {
    const { event } = mail;
    if (event.type !== "result" || !open.has(event.taskId) || held.has(event.token)) return true;
    answerMail(mail, { type: "stale" });
    return false;
  });
}

function isSameHead(one: Head, other: Head): boolean {
  return one.revision === other.revision && one.commitId === other.commitId;
}
