/** The facet of documents: definitions, actions, keys: small, named, with optimistic versions. */
import type { JsonText } from "../../model/json.ts";

export interface Document {
  readonly id: string;
  readonly version: number;
  readonly body: JsonText;
}

export interface DocumentPlace {
  readonly kind: string;
  readonly id: string;
}

export interface PutRequest extends DocumentPlace {
  readonly body: JsonText;
  /** 0: it must not exist; versions count from 1. */
  readonly expectedVersion: number;
}

export type PutAnswer =
  | { readonly outcome: "saved"; readonly version: number }
  | { readonly outcome: "conflict"; readonly version: number };

export interface ListDocumentsRequest {
  readonly kind: string;
  readonly prefix?: string;
  readonly after?: string;
  readonly limit: number;
}

export interface DocumentStore {
  getDocument(request: DocumentPlace): Promise<Document | undefined>;
  /** A put that finds its own result, version and body, returns `saved` again. */
  putDocument(request: PutRequest): Promise<PutAnswer>;
  /** In order of id, those that begin with `prefix`, after the given id. */
  listDocuments(request: ListDocumentsRequest): Promise<readonly Document[]>;
  deleteDocument(request: DocumentPlace): Promise<boolean>;
}
