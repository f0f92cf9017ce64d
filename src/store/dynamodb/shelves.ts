/** Hints in DynamoDB: each shelf is a partition of the table, in the order of places. */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type * as driver from "../records/driver.ts";
import { Gathered } from "./gathered.ts";
import {
  itemKey,
  type Keys,
  momentText,
  placeOf,
  placeText,
  textIn,
  textOf,
  textValue,
} from "./items.ts";
import { batchWriteMax, type Query, type Table, type WriteRequest, writtenKey } from "./table.ts";

export class DynamoShelves implements driver.Shelves {
  readonly #table: Table;
  readonly #keys: Keys;

  /** Apart, so that no hint is struck before it stands. */
  readonly #posted: Gathered<WriteRequest>;
  readonly #struck: Gathered<WriteRequest>;

  constructor(table: Table, keys: Keys, clock: Clock) {
    this.#table = table;
    this.#keys = keys;
    const write = (all: readonly WriteRequest[]) => table.write(all);
    const options = { clock, max: batchWriteMax, nameOf: writtenKey, write };
    this.#posted = new Gathered(options);
    this.#struck = new Gathered(options);
  }

  async post(
    hints: readonly { readonly shelf: driver.Shelf; readonly entry: driver.Entry }[],
  ): Promise<void> {
    await this.#posted.write(
      hints.map(({ shelf, entry: { place, body } }) => {
        const key = itemKey(this.#keys.shelf(shelf), placeText(place));
        return { PutRequest: { Item: { ...key, body: textValue(body) } } };
      }),
    );
  }

  async strike(
    hints: readonly { readonly shelf: driver.Shelf; readonly place: driver.Place }[],
  ): Promise<void> {
    await this.#struck.write(
      hints.map(({ shelf, place }) => ({
        DeleteRequest: { Key: itemKey(this.#keys.shelf(shelf), placeText(place)) },
      })),
    );
  }

  async scan(request: driver.ScanRequest): Promise<driver.ScanAnswer> {
    const { shelf, bound, after, limit } = request;
    // DynamoDB refuses to begin outside of the bounds.
    if (after !== undefined && bound !== undefined && isBeyond(shelf, after.at, bound)) {
      return { entries: [], more: false };
    }
    const start = after === undefined ? undefined : placeText(after);
    const query = { ...this.#queryOf(shelf, bound), ...defined({ after: start }) };
    const { items, more } = await this.#table.query(query, limit);
    const entries = items.map((item) => ({
      place: placeOf(textIn(item, "sk")),
      body: textOf(item.body),
    }));
    return { entries, more };
  }

  async count(request: {
    readonly shelf: driver.Shelf;
    readonly bound?: number;
    readonly max: number;
  }): Promise<number> {
    return await this.#table.count(this.#queryOf(request.shelf, request.bound), request.max);
  }

  #queryOf(shelf: driver.Shelf, bound: number | undefined): Query {
    const isDescending = shelf.kind === "list";
    const pk = this.#keys.shelf(shelf);
    if (bound === undefined) return { pk, isDescending };
    // Every place of the moment after the bound comes after its text, and all earlier ones before.
    const edge = momentText(bound + 1);
    return isDescending ? { pk, isDescending, from: edge } : { pk, isDescending, to: edge };
  }
}

function isBeyond({ kind }: driver.Shelf, at: number, bound: number): boolean {
  return kind === "work" ? at > bound : at <= bound;
}
