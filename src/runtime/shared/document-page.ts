/** Pages of documents: closed by count, and by bytes before they cost much to hold and to send. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { Document, Store } from "../../store/store.ts";

/** Documents that are read at once for a list. */
const documentsPerReadMax = 20;

interface DocumentPage {
  /** At least one, unless none is left. */
  readonly documents: readonly Document[];
  /** The cursor of the next page; undefined: this is the last one. */
  readonly after: string | undefined;
}

export async function documentPage(
  store: Store,
  request: {
    readonly kind: string;
    readonly limit: number;
    readonly after?: string | undefined;
    readonly prefix?: string;
  },
): Promise<DocumentPage> {
  const { kind, limit, prefix } = request;
  const documents: Document[] = [];
  let after = request.after;
  let chars = 0;
  for (;;) {
    const count = Math.min(limit - documents.length, documentsPerReadMax);
    const read = await store.listDocuments({
      kind,
      limit: count,
      ...defined({ after, prefix }),
    });
    for (const document of read) {
      chars += document.body.length;
      if (documents.length > 0 && chars > limits.pageBytesMax) return { documents, after };
      documents.push(document);
      after = document.id;
    }
    if (read.length < count) return { documents, after: undefined };
    if (documents.length === limit) return { documents, after };
  }
}
