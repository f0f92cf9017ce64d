/** Live servers in DynamoDB, and what the namespace is: both are read with one request. */
import { currentFormat } from "../../model/format.ts";
import type * as contract from "../store.ts";
import {
  expiryAt,
  expiryName,
  type Item,
  itemKey,
  type Keys,
  number,
  numberIn,
  textIn,
  textOf,
  textValue,
} from "./items.ts";
import { isConditionFailed, type Table, toFault } from "./table.ts";

const serverPrefix = "s/";
export const settingsName = "settings";
/** They count by their own moment; DynamoDB removes what nobody reads any more. */
const keptMs = 3_600_000;

export class DynamoServers {
  readonly #table: Table;
  readonly #keys: Keys;
  #format: number;

  constructor(table: Table, keys: Keys, format: number) {
    this.#table = table;
    this.#keys = keys;
    this.#format = format;
  }

  async beatServer({ id, body, now, ttlMs }: contract.BeatRequest): Promise<void> {
    const until = now + ttlMs;
    const item = {
      ...itemKey(this.#keys.node, serverPrefix + id),
      body: textValue(body),
      until: number(until),
      [expiryName]: expiryAt(until + keptMs),
    };
    await this.#table.write([{ PutRequest: { Item: item } }]);
  }

  async listServers({ now }: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    const query = { pk: this.#keys.node };
    const { items } = await this.#table.query(query, Number.POSITIVE_INFINITY);
    const servers: contract.LiveServer[] = [];
    for (const item of items) {
      const name = textIn(item, "sk");
      if (name === settingsName) this.#format = formatOf(item);
      else if (numberIn(item, "until") > now) {
        servers.push({ id: name.slice(serverPrefix.length), body: textOf(item.body) });
      }
    }
    return servers;
  }

  async leaveServer({ id }: { readonly id: string }): Promise<void> {
    const Key = itemKey(this.#keys.node, serverPrefix + id);
    await this.#table.write([{ DeleteRequest: { Key } }]);
  }

  format(): number {
    return this.#format;
  }

  async raiseFormat(format: number): Promise<number> {
    if (format <= this.#format) return this.#format;
    const values = { ":f": number(format) };
    const request = {
      Key: itemKey(this.#keys.node, settingsName),
      UpdateExpression: "SET #f = :f",
      ConditionExpression: "#f < :f",
      ExpressionAttributeNames: { "#f": "format" },
      ExpressionAttributeValues: values,
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    };
    try {
      await this.#table.run("UpdateItem", request, true);
      this.#format = format;
    } catch (error) {
      if (!isConditionFailed(error)) throw toFault(error);
      const { Item: found } = error.body;
      this.#format = found === undefined ? currentFormat : formatOf(found as Item);
    }
    return this.#format;
  }
}

function formatOf(item: Item): number {
  return numberIn(item, "format");
}
