/** Documents, in memory. */
import { putDocument } from "../kit/documents.ts";
import { compareText } from "../kit/order.ts";
import type {
  Document,
  DocumentPlace,
  DocumentStore,
  ListDocumentsRequest,
  PutAnswer,
  PutRequest,
  RestoreDocumentRequest,
} from "../store.ts";

export class MemoryDocuments implements DocumentStore {
  readonly #kinds = new Map<string, Map<string, Document>>();

  async getDocument({ kind, id }: DocumentPlace): Promise<Document | undefined> {
    return this.#kinds.get(kind)?.get(id);
  }

  async putDocument(request: PutRequest): Promise<PutAnswer> {
    const { kind, id } = request;
    const documents = this.#kinds.get(kind) ?? new Map<string, Document>();
    const { answer, document } = putDocument(documents.get(id), request);
    if (document !== undefined) documents.set(id, document);
    this.#kinds.set(kind, documents);
    return answer;
  }

  async listDocuments(request: ListDocumentsRequest): Promise<readonly Document[]> {
    const { kind, prefix = "", after, limit } = request;
    return [...(this.#kinds.get(kind)?.values() ?? [])]
      .filter(({ id }) => id.startsWith(prefix))
      .filter(({ id }) => after === undefined || compareText(id, after) > 0)
      .sort((a, b) => compareText(a.id, b.id))
      .slice(0, limit);
  }

  async documentKinds(): Promise<readonly string[]> {
    return [...this.#kinds].flatMap(([kind, of]) => (of.size > 0 ? kind : [])).sort(compareText);
  }

  async restoreDocument({ kind, document }: RestoreDocumentRequest): Promise<void> {
    const documents = this.#kinds.get(kind) ?? new Map<string, Document>();
    documents.set(document.id, document);
    this.#kinds.set(kind, documents);
  }

  async deleteDocument({ kind, id }: DocumentPlace): Promise<boolean> {
    return this.#kinds.get(kind)?.delete(id) ?? false;
  }
}
