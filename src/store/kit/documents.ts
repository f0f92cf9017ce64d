/** Optimistic versions of documents. */
import type { Document, PutAnswer, PutRequest } from "../store.ts";

/** `document` is to be written. A put that finds its own result is a repeat of itself. */
export function putDocument(
  known: Document | undefined,
  { id, body, expectedVersion }: PutRequest,
): { readonly answer: PutAnswer; readonly document?: Document } {
  const current = known?.version ?? 0;
  const version = expectedVersion + 1;
  const isRepeat = current === version && known?.body === body;
  if (!isRepeat && current !== expectedVersion) {
    return { answer: { outcome: "conflict", version: current } };
  }
  const answer: PutAnswer = { outcome: "saved", version };
  return isRepeat ? { answer } : { answer, document: { id, version, body } };
}
