/**
 * Removal: the head becomes a tombstone, which the database may forget some time after its end. Rows
 * and parts go in chunks behind it, those of writes that were lost among them.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import { keptStart, sameHead } from "../kit/heads.ts";
import { removeRowsMax } from "../kit/removal.ts";
import type { RemoveAnswer, RemoveRequest } from "../store.ts";
import type { Edit } from "./edit.ts";
import { noFields } from "./fields.ts";
import { outboxShelf } from "./hints.ts";
import { noHistory } from "./history.ts";
import { leaveLists } from "./listings.ts";
import type { Grave } from "./model.ts";
import type { Records } from "./records.ts";

export class Removals {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  async remove(request: RemoveRequest): Promise<RemoveAnswer> {
    const { key, expected, now } = request;
    return await this.#clear(key, now, (edit) => {
      const { execution } = edit;
      if (execution === undefined) return "not_found";
      if (!sameHead(execution.head, expected)) {
        return execution.grave === undefined ? "conflict" : "not_found";
      }
      if (execution.grave === undefined) dig(edit, request);
      return undefined;
    });
  }

  /** Goes on with a removal that was begun. */
  async clear(key: ExecutionKey, now: number): Promise<RemoveAnswer> {
    return await this.#clear(key, now, ({ execution }) => {
      return execution?.grave === undefined ? "not_found" : undefined;
    });
  }

  /**
   * Parts are listed before the head is changed, and dropped after: a creation over the tombstone
   * writes its parts later than the change, or is refused by it.
   */
  async #clear(
    key: ExecutionKey,
    now: number,
    begin: (edit: Edit) => RemoveAnswer | undefined,
  ): Promise<RemoveAnswer> {
    const { aggregates, limits } = this.#records.driver;
    let parts: readonly string[] = [];
    const answer = await this.#records.update({ key, now, rows: "all" }, async (edit) => {
      const answered = begin(edit);
      if (answered !== undefined) return answered;
      const { grave } = edit.record;
      if (grave?.isEmpty) return "removed";
      parts = await aggregates.listParts({ key, limit: removeRowsMax });
      const tasks = edit.rowTasks();
      for (const task of tasks.slice(0, limits.changeRowsMax)) edit.deleteTask(task);
      const isEmpty = parts.length < removeRowsMax && tasks.length <= limits.changeRowsMax;
      edit.change({ grave: { ...(grave as Grave), isEmpty } });
      return isEmpty ? "removed" : "more";
    });
    if (parts.length > 0) await this.#records.dropParts(key, parts);
    return answer;
  }

  /** Deletes the tombstone that has ended; returns whether there is none any more. */
  async purge(key: ExecutionKey, now: number): Promise<boolean> {
    const { aggregates } = this.#records.driver;
    const { execution } = await this.#records.read(key);
    if (execution?.grave === undefined) return true;
    if (execution.grave.until > now) return false;
    if (!execution.grave.isEmpty) {
      await this.clear(key, now);
      return false;
    }
    const parts = await aggregates.listParts({ key, limit: removeRowsMax });
    const head = { kind: "delete", expected: execution.version } as const;
    const { outcome } = await aggregates.change({ key, head, rows: [] });
    if (outcome === "changed" && parts.length > 0) await this.#records.dropParts(key, parts);
    return outcome === "changed";
  }
}

/** Nothing is left of it but what repeated starts are told. */
function dig(edit: Edit, { tombstoneUntil, keepStart }: RemoveRequest): void {
  const { listing, requestHash, lone, outbox } = edit.record;
  const { status, endedAt } = listing;
  leaveLists(edit);
  if (lone !== undefined) edit.deleteTask(lone);
  if (outbox !== undefined) {
    edit.strikes.push({ shelf: outboxShelf(edit.key.partition), place: outbox });
  }
  const kept = keepStart ? keptStart({ requestHash, status, endedAt }) : undefined;
  edit.change({
    grave: { until: tombstoneUntil, kept, isEmpty: false },
    state: "",
    fields: noFields,
    history: noHistory,
    lone: undefined,
    dropped: [],
    timers: [],
    messages: [],
    outbox: undefined,
  });
}
