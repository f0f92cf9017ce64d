/** Lists of executions in SQLite, newest first. */

import type { Database, Statement } from "bun:sqlite";
import { executionStatuses } from "../../model/execution.ts";
import { type ListingRow, looksMax, pageOf, toListing } from "../kit/lists.ts";
import { comparePlaces } from "../kit/order.ts";
import type { ListAnswer, ListRequest } from "../store.ts";
import { settingOf, unpairedBelow, writeSetting } from "./schema.ts";

/** What an index holds, and the place in it from which on it is read. */
type Search = {
  readonly $partition: number;
  readonly $value: string;
  /** Of the index of pairs only. */
  readonly $status: string;
  readonly $after: number;
  readonly $afterId: string;
  readonly $startedAfter: number;
  readonly $limit: number;
};

interface Index {
  readonly select: Statement<ListingRow, [Search]>;
  /** At most countMax. */
  readonly count: Statement<{ count: number }, [Pick<Search, "$partition" | "$value" | "$status">]>;
}

/** An index, and the searches in it whose rows together are all that are looked for. */
interface Candidate {
  readonly index: Index;
  readonly searches: readonly Search[];
}

/** Above this count, which of two indexes holds fewer is not determined. */
const countMax = 1_000;

function prepareIndex(database: Database, condition: string): Index {
  const where = `partition = $partition AND tombstone_until IS NULL AND ${condition}`;
  return {
    select: database.prepare(`
      SELECT id, workflow, version, status, started_at AS startedAt, ended_at AS endedAt,
        correlation_id AS correlationId, parent, is_inline AS isInline
      FROM executions
      WHERE ${where} AND (started_at, id) < ($after, $afterId) AND started_at > $startedAfter
      ORDER BY started_at DESC, id DESC LIMIT $limit`),
    count: database.prepare(
      `SELECT count(*) AS count FROM (SELECT 1 FROM executions WHERE ${where} LIMIT ${countMax})`,
    ),
  };
}

export class Listings {
  readonly #database: Database;
  readonly #indexes;
  readonly #pairSome;
  /** Undefined: as the settings say. */
  #isWhole: boolean | undefined;

  constructor(database: Database) {
    this.#database = database;
    this.#indexes = {
      // Only in files whose executions are not all paired yet.
      workflow: prepareIndex(database, "workflow = $value"),
      status: prepareIndex(database, "status = $value"),
      correlationId: prepareIndex(database, "correlation_id = $value"),
      parent: prepareIndex(database, "parent = $value"),
      pair: prepareIndex(database, "workflow = $value AND status = $status AND is_paired = 1"),
    };
    this.#pairSome = database.prepare<{ number: number }, [number, number]>(`
      UPDATE executions SET is_paired = 1 WHERE number IN (
        SELECT number FROM executions WHERE number < ? ORDER BY number DESC LIMIT ?)
      RETURNING number`);
  }

  list(request: ListRequest): ListAnswer {
    const { partition, after, startedAfter = -1 } = request;
    const limit = looksMax(request);
    const search = {
      $partition: partition,
      $value: "",
      $status: "",
      $startedAfter: startedAfter,
      $after: after?.startedAt ?? Number.MAX_SAFE_INTEGER,
      $afterId: after?.id ?? "",
      $limit: limit,
    };
    const rows = this.#select(request, search);
    return pageOf(rows.values().map(toListing), request, { isWhole: rows.length < limit });
  }

  #select(request: ListRequest, search: Search): readonly ListingRow[] {
    const { workflow, status, correlationId, parent } = request;
    const candidates: Candidate[] = [];
    const propose = (index: Index, ...values: Pick<Search, "$value" | "$status">[]) =>
      candidates.push({ index, searches: values.map((value) => ({ ...search, ...value })) });
    // Every execution has one of few statuses: merging their lists saves an index without them.
    const statuses = status === undefined ? executionStatuses : [status];
    if (correlationId !== undefined) {
      propose(this.#indexes.correlationId, { $value: correlationId, $status: "" });
    }
    if (parent !== undefined) propose(this.#indexes.parent, { $value: parent, $status: "" });
    if (workflow !== undefined && this.#arePaired()) {
      const pairs = statuses.map((one) => ({ $value: workflow, $status: one }));
      propose(this.#indexes.pair, ...pairs);
    } else {
      if (workflow !== undefined) {
        propose(this.#indexes.workflow, { $value: workflow, $status: "" });
      }
      if (status !== undefined || candidates.length === 0) {
        propose(this.#indexes.status, ...statuses.map((one) => ({ $value: one, $status: "" })));
      }
    }
    const { index, searches } = smallest(candidates);
    const rows = searches.flatMap((one) => index.select.all(one));
    if (searches.length > 1) rows.sort(comparePlaces);
    return rows.slice(0, search.$limit);
  }

  /** The newest first. */
  pairSome(limit: number): "done" | "more" {
    if (this.#arePaired()) return "done";
    const below = Number(settingOf(this.#database, unpairedBelow) ?? Number.MAX_SAFE_INTEGER);
    const paired = this.#pairSome.all(below, limit).map(({ number }) => number);
    const isDone = paired.length < limit;
    writeSetting(this.#database, unpairedBelow, isDone ? 0 : Math.min(...paired));
    this.#isWhole = isDone;
    return isDone ? "done" : "more";
  }

  /** What was written last is undone. */
  onRollback(): void {
    this.#isWhole = undefined;
  }

  /** Whether all executions are in the index of pairs of a workflow and a status. */
  #arePaired(): boolean {
    this.#isWhole ??= settingOf(this.#database, unpairedBelow) === "0";
    return this.#isWhole;
  }
}

/** The index that holds the fewest rows. */
function smallest(candidates: readonly Candidate[]): Candidate {
  let best = candidates[0]!;
  let fewest = Number.POSITIVE_INFINITY;
  for (const one of candidates.length > 1 ? candidates : []) {
    const count = one.searches.reduce((sum, { $partition, $value, $status }) => {
      return sum + one.index.count.get({ $partition, $value, $status })!.count;
    }, 0);
    if (count >= fewest) continue;
    fewest = count;
    best = one;
  }
  return best;
}
