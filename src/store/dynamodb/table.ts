/** Requests to one table: single ones, batches whose rest is sent again, and queries of many pages. */
import type { AwsClient } from "../../aws/client.ts";
import { AwsFault } from "../../aws/faults.ts";
import { defined } from "../../base/defined.ts";
import { StoreFault } from "../store.ts";
import { type Item, type ItemKey, itemKey } from "./items.ts";

/** Bounds of DynamoDB. */
/** The most that one request writes. */
export const batchWriteMax = 25;
const batchGetMax = 100;
/** A batch of large items is cut earlier: a request has at most 16 MiB, in base64. */
const batchBytesMax = 6_000_000;
const batchAttemptsMax = 12;

export type WriteRequest =
  | { readonly PutRequest: { readonly Item: Item } }
  | { readonly DeleteRequest: { readonly Key: ItemKey } };

export interface Query {
  readonly pk: string;
  /** Both are included; absent: any. */
  readonly from?: string;
  readonly to?: string;
  /** Strictly beyond it, in the direction of the query; between `from` and `to`. */
  readonly after?: string;
  readonly isDescending?: boolean;
  /** Attributes; absent: all. */
  readonly only?: string;
}

interface Page {
  readonly Items?: readonly Item[];
  readonly Count: number;
  readonly LastEvaluatedKey?: ItemKey;
}

export class Table {
  readonly name: string;
  readonly #client: AwsClient;

  constructor(name: string, client: AwsClient) {
    this.name = name;
    this.#client = client;
  }

  /** The fault of a condition that did not hold is thrown as it is; others as a StoreFault. */
  async run<Answer extends object>(
    operation: string,
    request: object,
    isRepeatable: boolean,
  ): Promise<Answer> {
    return await this.call<Answer>(operation, { TableName: this.name, ...request }, isRepeatable);
  }

  /** The same, of an operation that names the table elsewhere. */
  async call<Answer extends object>(
    operation: string,
    request: object,
    isRepeatable: boolean,
  ): Promise<Answer> {
    const whole = { ReturnConsumedCapacity: "TOTAL", ...request };
    return await this.#client.call<Answer>(operation, whole, { isRepeatable });
  }

  async get(pk: string, sk: string): Promise<Item | undefined> {
    const request = { Key: itemKey(pk, sk), ConsistentRead: true };
    try {
      return (await this.run<{ readonly Item?: Item }>("GetItem", request, true)).Item;
    } catch (error) {
      throw toFault(error);
    }
  }

  /** Those that exist, in any order; one that is asked for twice once. */
  async getMany(keys: readonly ItemKey[]): Promise<readonly Item[]> {
    const slices = sliced(distinct(keys, keyText), batchGetMax, () => 0);
    return (await Promise.all(slices.map((slice) => this.#getBatch(slice)))).flat();
  }

  /** All of them; after a fault, some. Of those of one item the first is done. */
  async write(requests: readonly WriteRequest[]): Promise<void> {
    const slices = sliced(distinct(requests, writtenKey), batchWriteMax, sizeOf);
    await Promise.all(slices.map((slice) => this.#writeBatch(slice)));
  }

  /** At most `limit` items, which may be infinite; `more`: others may follow. */
  async query(
    query: Query,
    limit: number,
  ): Promise<{ readonly items: readonly Item[]; readonly more: boolean }> {
    const items: Item[] = [];
    const more = await this.#pages(query, limit, {}, (page) => {
      items.push(...(page.Items ?? []));
      return items.length;
    });
    return { items, more };
  }

  /** How many there are; above `max`: `max`. */
  async count(query: Query, max: number): Promise<number> {
    let count = 0;
    await this.#pages(query, max, { Select: "COUNT" }, (page) => {
      count += page.Count;
      return count;
    });
    return count;
  }

  async #pages(
    query: Query,
    limit: number,
    select: object,
    take: (page: Page) => number,
  ): Promise<boolean> {
    const { pk, from, to, after, isDescending = false, only } = query;
    const bounds = boundsOf(from, to);
    const values = { ":p": { S: pk }, ...bounds.values };
    let start = after === undefined ? undefined : itemKey(pk, after);
    for (let taken = 0; ; ) {
      const request = {
        KeyConditionExpression: `pk = :p${bounds.condition}`,
        ExpressionAttributeValues: values,
        ScanIndexForward: !isDescending,
        ConsistentRead: true,
        ...defined({
          Limit: Number.isFinite(limit) ? limit - taken : undefined,
          ExclusiveStartKey: start,
          ProjectionExpression: only,
        }),
        ...select,
      };
      const page = await this.run<Page>("Query", request, true).catch((error) => {
        throw toFault(error);
      });
      taken = take(page);
      start = page.LastEvaluatedKey;
      if (start === undefined || taken >= limit) return start !== undefined;
    }
  }

  async #getBatch(keys: readonly ItemKey[]): Promise<readonly Item[]> {
    const items: Item[] = [];
    let rest: readonly ItemKey[] = keys;
    for (let attempt = 1; ; attempt++) {
      const tables = { [this.name]: { Keys: rest, ConsistentRead: true } };
      const answer = await this.#batch<{
        readonly Responses?: Readonly<Record<string, readonly Item[]>>;
        readonly UnprocessedKeys?: Readonly<Record<string, { readonly Keys: typeof rest }>>;
      }>("BatchGetItem", tables);
      const got = answer.Responses?.[this.name] ?? [];
      items.push(...got);
      rest = answer.UnprocessedKeys?.[this.name]?.Keys ?? [];
      if (rest.length === 0) return items;
      // Large items come a few at a time; that is no throttling.
      await this.#waitFor("BatchGetItem", got.length > 0 ? 0 : attempt);
    }
  }

  async #writeBatch(requests: readonly WriteRequest[]): Promise<void> {
    let rest = requests;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#batch<{
        readonly UnprocessedItems?: Readonly<Record<string, readonly WriteRequest[]>>;
      }>("BatchWriteItem", { [this.name]: rest });
      rest = answer.UnprocessedItems?.[this.name] ?? [];
      if (rest.length === 0) return;
      await this.#waitFor("BatchWriteItem", attempt);
    }
  }

  async #batch<Answer extends object>(operation: string, tables: object): Promise<Answer> {
    try {
      return await this.call<Answer>(operation, { RequestItems: tables }, true);
    } catch (error) {
      throw toFault(error);
    }
  }

  async #waitFor(operation: string, attempt: number): Promise<void> {
    if (attempt === batchAttemptsMax) {
      throw new StoreFault("unknown", `DynamoDB: ${operation}: the table is throttled.`);
    }
    if (attempt > 0) await this.#client.backOff(attempt);
  }
}

function boundsOf(from: string | undefined, to: string | undefined) {
  const low = from === undefined ? {} : { ":a": { S: from } };
  const high = to === undefined ? {} : { ":b": { S: to } };
  const values = { ...low, ...high };
  if (from !== undefined && to !== undefined)
    return { condition: " AND sk BETWEEN :a AND :b", values };
  if (from !== undefined) return { condition: " AND sk >= :a", values };
  return { condition: to === undefined ? "" : " AND sk <= :b", values };
}

/** Of the item that is written. */
export function writtenKey(request: WriteRequest): string {
  return keyText("PutRequest" in request ? request.PutRequest.Item : request.DeleteRequest.Key);
}

function keyText({ pk, sk }: Item | ItemKey): string {
  return JSON.stringify([pk, sk]);
}

/** DynamoDB refuses a batch in which an item is twice. */
function distinct<One>(all: readonly One[], key: (one: One) => string): readonly One[] {
  if (all.length < 2) return all;
  const known = new Map<string, One>();
  for (const one of all) {
    const text = key(one);
    if (!known.has(text)) known.set(text, one);
  }
  return [...known.values()];
}

function sizeOf(request: WriteRequest): number {
  if (!("PutRequest" in request)) return 0;
  const { body } = request.PutRequest.Item;
  return body === undefined ? 0 : "B" in body ? body.B.length : "S" in body ? body.S.length : 0;
}

function sliced<One>(all: readonly One[], max: number, size: (one: One) => number): One[][] {
  const slices: One[][] = [];
  let slice: One[] = [];
  let bytes = 0;
  for (const one of all) {
    const more = size(one);
    if (slice.length === max || (slice.length > 0 && bytes + more > batchBytesMax)) {
      slices.push(slice);
      slice = [];
      bytes = 0;
    }
    slice.push(one);
    bytes += more;
  }
  if (slice.length > 0) slices.push(slice);
  return slices;
}

export function isConditionFailed(error: unknown): error is AwsFault {
  return error instanceof AwsFault && error.code === "ConditionalCheckFailedException";
}

/** As the contract says it. */
export function toFault(error: unknown): unknown {
  if (!(error instanceof AwsFault)) return error;
  const { outcome, message } = error;
  return new StoreFault(outcome, `DynamoDB: ${message}`, { cause: error });
}
