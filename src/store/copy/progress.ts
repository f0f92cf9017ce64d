/**
 * How far a copy into a store has come: a document in that store. While it is there, the store holds a
 * part of another one, and no server may start on it.
 */
import type { Store } from "../store.ts";

export const progressKind = "copy";
const place = { kind: progressKind, id: "progress" };

export interface CopyProgress {
  /** The store that is copied, for people, and to tell it from others. */
  readonly from: string;
  /** Where each partition of it goes on: the `next` of its dump, "" at the end; absent: not begun. */
  readonly places: Readonly<Record<string, string>>;
}

interface Stored {
  readonly version: number;
  readonly progress: CopyProgress;
}

export async function readProgress(store: Store): Promise<Stored | undefined> {
  const document = await store.getDocument(place);
  if (document === undefined) return undefined;
  return { version: document.version, progress: JSON.parse(document.body) as CopyProgress };
}

/** Returns the version that it has now. Throws when another copy has gone on meanwhile. */
export async function writeProgress(
  store: Store,
  progress: CopyProgress,
  expectedVersion: number,
): Promise<number> {
  const body = JSON.stringify(progress);
  const answer = await store.putDocument({ ...place, body, expectedVersion });
  if (answer.outcome === "saved") return answer.version;
  throw new Error("Another copy into this store is under way: end one of them.");
}

export async function endProgress(store: Store): Promise<void> {
  await store.deleteDocument(place);
}

/** Why no server may start on the store; undefined: nothing is in the way. */
export async function unfinishedCopy(store: Store): Promise<string | undefined> {
  const stored = await readProgress(store);
  if (stored === undefined) return undefined;
  return (
    `the store holds an unfinished copy of ${stored.progress.from}: finish it with ` +
    `"copy --from … --to …", or give the copy an empty store`
  );
}
