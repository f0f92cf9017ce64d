/** Executions in DynamoDB: heads, rows and parts, and the conditional writes on them. */
import { AwsFault, reasonsOf } from "../../aws/faults.ts";
import type { Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { lastCharacter } from "../kit/order.ts";
import type * as driver from "../records/driver.ts";
import {
  bytes,
  bytesIn,
  conditionOf,
  expiryAt,
  expiryName,
  headName,
  type Item,
  type ItemKey,
  itemKey,
  type Keys,
  number,
  numberIn,
  partPrefix,
  rowPrefix,
  textIn,
  textOf,
  textValue,
} from "./items.ts";
import { isConditionFailed, type Table, toFault } from "./table.ts";

/** A write with its condition, in the words of both PutItem and a transaction. */
type ConditionalWrite =
  | { readonly Put: { readonly Item: Item } & Condition }
  | { readonly Delete: { readonly Key: ItemKey } & Condition }
  | { readonly ConditionCheck: { readonly Key: ItemKey } & Condition };

interface Condition {
  readonly TableName: string;
  readonly ConditionExpression: string;
  readonly ExpressionAttributeValues?: Item;
}

const onFailure = "ReturnValuesOnConditionCheckFailure";

export class DynamoAggregates implements driver.Aggregates {
  readonly #table: Table;
  readonly #keys: Keys;
  readonly #ids: Ids;

  constructor(table: Table, keys: Keys, ids: Ids) {
    this.#table = table;
    this.#keys = keys;
    this.#ids = ids;
  }

  /** All reads are consistent: each sees what was acknowledged before. */
  async read({ key, rows }: driver.ReadRequest): Promise<driver.RecordGroup> {
    const pk = this.#keys.execution(key);
    if (rows === undefined || rows.length === 0) {
      const item = await this.#table.get(pk, headName);
      return { rows: new Map(), ...defined({ head: item && headOf(item) }) };
    }
    if (rows !== "all") {
      const names = [headName, ...rows.map((name) => rowPrefix + name)];
      return groupOf(await this.#table.getMany(names.map((sk) => itemKey(pk, sk))));
    }
    // Heads sort before rows, and parts after them.
    const query = { pk, from: headName, to: partPrefix };
    return groupOf((await this.#table.query(query, Number.POSITIVE_INFINITY)).items);
  }

  async readHeads(
    keys: readonly ExecutionKey[],
  ): Promise<readonly (driver.HeadRecord | undefined)[]> {
    const pks = keys.map((key) => this.#keys.execution(key));
    const items = await this.#table.getMany(pks.map((pk) => itemKey(pk, headName)));
    const heads = new Map(items.map((item) => [textIn(item, "pk"), headOf(item)]));
    return pks.map((pk) => heads.get(pk));
  }

  async change(change: driver.Change): Promise<driver.ChangeAnswer> {
    const writes = this.#writesOf(change);
    const [first] = writes;
    if (first === undefined) return { outcome: "changed" };
    if (writes.length > 1 || "ConditionCheck" in first) return await this.#transact(writes);
    return await this.#changeOne(first, change);
  }

  /** One item: where its condition fails, the response says what is there. */
  async #changeOne(
    write: Exclude<ConditionalWrite, { ConditionCheck: object }>,
    { head }: driver.Change,
  ): Promise<driver.ChangeAnswer> {
    const [operation, request] =
      "Put" in write ? ["PutItem", write.Put] : (["DeleteItem", write.Delete] as const);
    // A put that finds what it wrote is known by it; a deletion that finds nothing is not.
    const isRepeatable = "Put" in write;
    try {
      await this.#table.run(operation, { ...request, [onFailure]: "ALL_OLD" }, isRepeatable);
      return { outcome: "changed" };
    } catch (error) {
      if (!isConditionFailed(error)) throw toFault(error);
      const item = error.body.Item as Item | undefined;
      if ("Put" in write && item !== undefined && isSame(item, write.Put.Item)) {
        return { outcome: "changed" };
      }
      if (head.kind === "any") return { outcome: "refused" };
      return { outcome: "refused", found: groupOf(item === undefined ? [] : [item]) };
    }
  }

  /** Repeated with its token, it is applied once. */
  async #transact(writes: readonly ConditionalWrite[]): Promise<driver.ChangeAnswer> {
    const request = { TransactItems: writes, ClientRequestToken: this.#ids.nonce() };
    try {
      await this.#table.call("TransactWriteItems", request, true);
      return { outcome: "changed" };
    } catch (error) {
      if (isCancelledByCondition(error)) return { outcome: "refused" };
      throw toFault(error);
    }
  }

  #writesOf({ key, head, rows }: driver.Change): readonly ConditionalWrite[] {
    const pk = this.#keys.execution(key);
    const TableName = this.#table.name;
    const writes: ConditionalWrite[] = [];
    switch (head.kind) {
      case "write": {
        const { expected, next, expiresAt } = head;
        const item: Record<string, Item[string]> = {
          ...itemKey(pk, headName),
          ...recordItem(next),
        };
        if (next.closed) item.closed = { BOOL: true };
        if (expiresAt !== undefined) item[expiryName] = expiryAt(expiresAt);
        writes.push({ Put: { TableName, Item: item, ...conditionOf(expected) } });
        break;
      }
      case "delete": {
        const Key = itemKey(pk, headName);
        writes.push({ Delete: { TableName, Key, ...conditionOf(head.expected) } });
        break;
      }
      case "open": {
        const ConditionExpression = "attribute_exists(pk) AND attribute_not_exists(closed)";
        const Key = itemKey(pk, headName);
        writes.push({ ConditionCheck: { TableName, Key, ConditionExpression } });
        break;
      }
      case "any":
        break;
    }
    for (const { name, expected, next } of rows) {
      const rowKey = itemKey(pk, rowPrefix + name);
      const condition = { TableName, ...conditionOf(expected) };
      writes.push(
        next === undefined
          ? { Delete: { Key: rowKey, ...condition } }
          : { Put: { Item: { ...rowKey, ...recordItem(next) }, ...condition } },
      );
    }
    return writes;
  }

  async putParts(key: ExecutionKey, parts: readonly driver.Part[]): Promise<void> {
    const pk = this.#keys.execution(key);
    await this.#table.write(
      parts.map(({ name, body }) => ({
        PutRequest: { Item: { ...itemKey(pk, partPrefix + name), body: bytes(body) } },
      })),
    );
  }

  async readParts(
    key: ExecutionKey,
    names: readonly string[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const pk = this.#keys.execution(key);
    const wanted = names.map((name) => itemKey(pk, partPrefix + name));
    const items = await this.#table.getMany(wanted);
    const found = new Map(items.map((item) => [textIn(item, "sk"), item]));
    return names.map((name) => {
      const item = found.get(partPrefix + name);
      return item && bytesIn(item, "body");
    });
  }

  async dropParts(key: ExecutionKey, names: readonly string[]): Promise<void> {
    const pk = this.#keys.execution(key);
    const keys = names.map((name) => itemKey(pk, partPrefix + name));
    await this.#table.write(keys.map((Key) => ({ DeleteRequest: { Key } })));
  }

  async listParts(request: {
    readonly key: ExecutionKey;
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly string[]> {
    const { key, prefix = "", after, limit } = request;
    const from = partPrefix + prefix;
    const query = {
      pk: this.#keys.execution(key),
      from,
      to: from + lastCharacter,
      only: "sk",
    };
    const start = after === undefined ? {} : { after: partPrefix + after };
    const { items } = await this.#table.query({ ...query, ...start }, limit);
    return items.map((item) => textIn(item, "sk").slice(partPrefix.length));
  }
}

function recordItem({ version, body }: driver.StoredRecord): Item {
  return { v: number(version), body: textValue(body) };
}

function recordOf(item: Item): driver.StoredRecord {
  return { version: numberIn(item, "v"), body: textOf(item.body) };
}

function headOf(item: Item): driver.HeadRecord {
  return { ...recordOf(item), closed: item.closed !== undefined };
}

function groupOf(items: readonly Item[]): driver.RecordGroup {
  const rows = new Map<string, driver.StoredRecord>();
  let head: driver.HeadRecord | undefined;
  for (const item of items) {
    const name = textIn(item, "sk");
    if (name === headName) head = headOf(item);
    else rows.set(name.slice(rowPrefix.length), recordOf(item));
  }
  return { rows, ...defined({ head }) };
}

/** Bodies name the commit, or the claim, that wrote them. */
function isSame(found: Item, written: Item): boolean {
  return Bun.deepEquals(found, written);
}

function isCancelledByCondition(error: unknown): boolean {
  if (!(error instanceof AwsFault) || error.code !== "TransactionCanceledException") return false;
  return reasonsOf(error.body).some(({ Code }) => Code === "ConditionalCheckFailed");
}
