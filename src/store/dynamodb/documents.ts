/**
 * Documents in DynamoDB. A large one is in pieces under a name used once, which its item holds; they
 * are written before it, and dropped after it was replaced.
 */
import type { Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { putDocument } from "../kit/documents.ts";
import { compareText, lastCharacter } from "../kit/order.ts";
import type { DriverDocuments } from "../records/driver.ts";
import type * as contract from "../store.ts";
import {
  bytes,
  bytesIn,
  conditionOf,
  decompressed,
  type Item,
  itemKey,
  type Keys,
  number,
  numberIn,
  textIn,
  textOf,
  textValue,
  type Value,
} from "./items.ts";
import { isConditionFailed, type Table, toFault } from "./table.ts";

const pieceBytes = 350_000;

/** The product has some ten. */
const kindsMax = 1_000;

/** DynamoDB refuses to look for an empty text. */
const idPrefix = "=";

/** Where the pieces of a body are. */
interface Cut {
  readonly id: string;
  readonly pieces: number;
}

export class DynamoDocuments implements DriverDocuments {
  readonly #table: Table;
  readonly #keys: Keys;
  readonly #ids: Ids;
  /** Kinds that this process has named. */
  readonly #named = new Set<string>();

  constructor(table: Table, keys: Keys, ids: Ids) {
    this.#table = table;
    this.#keys = keys;
    this.#ids = ids;
  }

  async getDocument(place: contract.DocumentPlace): Promise<contract.Document | undefined> {
    for (;;) {
      const item = await this.#table.get(this.#keys.documents(place.kind), idPrefix + place.id);
      if (item === undefined) return undefined;
      const document = await this.#read(place.kind, item);
      if (document !== undefined) return document;
    }
  }

  /** One request, where nobody else wrote; one more for the first of its kind. */
  async putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    const { kind, id, expectedVersion } = request;
    if (expectedVersion === 0) await this.#name(kind);
    const { item, cut } = await this.#itemOf(request);
    try {
      const { Attributes: replaced } = await this.#table.run<{ readonly Attributes?: Item }>(
        "PutItem",
        {
          Item: item,
          ...conditionOf(expectedVersion === 0 ? null : expectedVersion),
          ReturnValues: "ALL_OLD",
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        },
        true,
      );
      await this.#drop(kind, id, replaced && cutOf(replaced));
      return { outcome: "saved", version: expectedVersion + 1 };
    } catch (error) {
      if (!isConditionFailed(error)) throw toFault(error);
      const found = error.body.Item as Item | undefined;
      // Its own pieces stay, where a repeat of the request finds what it wrote.
      if (cut?.id !== (found && cutOf(found)?.id)) await this.#drop(kind, id, cut);
      const known = found && (await this.#read(kind, found));
      if (found !== undefined && known === undefined) return await this.putDocument(request);
      const { answer, document } = putDocument(known, request);
      return document === undefined ? answer : await this.putDocument(request);
    }
  }

  async listDocuments(
    request: contract.ListDocumentsRequest,
  ): Promise<readonly contract.Document[]> {
    const { kind, prefix = "", after = "", limit } = request;
    const isInside = after.startsWith(prefix);
    if (!isInside && compareText(after, prefix) > 0) return [];
    const from = idPrefix + prefix;
    const bounds = { from, to: from + lastCharacter };
    const start = isInside && after !== "" ? idPrefix + after : undefined;
    const query = { pk: this.#keys.documents(kind), ...bounds, ...defined({ after: start }) };
    const { items } = await this.#table.query(query, limit);
    const read = await Promise.all(
      items.map(async (item) => {
        const document = await this.#read(kind, item);
        return document ?? (await this.getDocument({ kind, id: idOf(item) }));
      }),
    );
    return read.filter((document) => document !== undefined);
  }

  async deleteDocument({ kind, id }: contract.DocumentPlace): Promise<boolean> {
    const Key = itemKey(this.#keys.documents(kind), idPrefix + id);
    try {
      const { Attributes: deleted } = await this.#table.run<{ readonly Attributes?: Item }>(
        "DeleteItem",
        { Key, ReturnValues: "ALL_OLD" },
        false,
      );
      await this.#drop(kind, id, deleted && cutOf(deleted));
      return deleted !== undefined;
    } catch (error) {
      throw toFault(error);
    }
  }

  async documentKinds(): Promise<readonly string[]> {
    const { items } = await this.#table.query({ pk: this.#keys.kinds }, kindsMax);
    const kinds = items.map((item) => textIn(item, "sk"));
    const isThere = async (kind: string) =>
      (await this.listDocuments({ kind, limit: 1 })).length > 0;
    const there = await Promise.all(kinds.map(isThere));
    return kinds.filter((_, i) => there[i]);
  }

  async restoreDocument({ kind, document }: contract.RestoreDocumentRequest): Promise<void> {
    const { id, version, body } = document;
    await this.#name(kind);
    const { item, cut } = await this.#itemOf({ kind, id, body, expectedVersion: version - 1 });
    try {
      const { Attributes: replaced } = await this.#table.run<{ readonly Attributes?: Item }>(
        "PutItem",
        { Item: item, ReturnValues: "ALL_OLD" },
        true,
      );
      const old = replaced && cutOf(replaced);
      // A request that was sent again replaces what it wrote itself.
      if (old?.id !== cut?.id) await this.#drop(kind, id, old);
    } catch (error) {
      throw toFault(error);
    }
  }

  /** Before its first document: a kind without any is passed over. */
  async #name(kind: string): Promise<void> {
    if (this.#named.has(kind)) return;
    await this.#table.write([{ PutRequest: { Item: { ...itemKey(this.#keys.kinds, kind) } } }]);
    this.#named.add(kind);
  }

  async #itemOf({ kind, id, body, expectedVersion }: contract.PutRequest) {
    const key = itemKey(this.#keys.documents(kind), idPrefix + id);
    const versioned = { ...key, v: number(expectedVersion + 1) };
    const value = textValue(body);
    if (storedBytes(value) <= pieceBytes) return { item: { ...versioned, body: value } };
    const whole = Bun.zstdCompressSync(body);
    const cut = { id: this.#ids.nonce(), pieces: Math.ceil(whole.byteLength / pieceBytes) };
    const pk = this.#keys.pieces(kind, id);
    await this.#table.write(
      Array.from({ length: cut.pieces }, (_, i) => {
        const piece = whole.subarray(i * pieceBytes, (i + 1) * pieceBytes);
        return { PutRequest: { Item: { ...pieceKey(pk, cut, i), body: bytes(piece) } } };
      }),
    );
    return { item: { ...versioned, cut: { S: cut.id }, pieces: number(cut.pieces) }, cut };
  }

  /** Undefined: it was replaced meanwhile, and its pieces are gone. */
  async #read(kind: string, item: Item): Promise<contract.Document | undefined> {
    const id = idOf(item);
    const version = numberIn(item, "v");
    const cut = cutOf(item);
    if (cut === undefined) return { id, version, body: textOf(item.body) };
    const pk = this.#keys.pieces(kind, id);
    const keys = Array.from({ length: cut.pieces }, (_, i) => pieceKey(pk, cut, i));
    const pieces = new Map(
      (await this.#table.getMany(keys)).map((piece) => [textIn(piece, "sk"), piece]),
    );
    if (pieces.size < cut.pieces) return undefined;
    const whole = keys.map(({ sk }) => bytesIn(pieces.get(sk.S)!, "body"));
    return { id, version, body: decompressed(Buffer.concat(whole)) };
  }

  async #drop(kind: string, id: string, cut: Cut | undefined): Promise<void> {
    if (cut === undefined) return;
    const pk = this.#keys.pieces(kind, id);
    const keys = Array.from({ length: cut.pieces }, (_, i) => pieceKey(pk, cut, i));
    await this.#table.write(keys.map((Key) => ({ DeleteRequest: { Key } })));
  }
}

function idOf(item: Item): string {
  return textIn(item, "sk").slice(idPrefix.length);
}

function storedBytes(value: Value): number {
  if ("B" in value) return Buffer.byteLength(value.B, "base64");
  return "S" in value ? Buffer.byteLength(value.S) : 0;
}

function cutOf(item: Item): Cut | undefined {
  if (item.cut === undefined) return undefined;
  return { id: textIn(item, "cut"), pieces: numberIn(item, "pieces") };
}

function pieceKey(pk: string, { id }: Cut, index: number) {
  return itemKey(pk, `${id}/${String(index).padStart(4, "0")}`);
}
