/**
 * A database in memory under the records store, for tests and the simulator: one conditional write on
 * one execution, plain writes for all else, the bounds checked, and the answers that a database may
 * choose chosen by a seed.
 */
import type { ExecutionKey } from "../../src/model/ids.ts";
import { compareText } from "../../src/store/kit/order.ts";
import { MemoryDocuments } from "../../src/store/memory/documents.ts";
import { MemoryServers } from "../../src/store/memory/servers.ts";
import type {
  Aggregates,
  Change,
  ChangeAnswer,
  DriverLimits,
  HeadChange,
  HeadRecord,
  Part,
  ReadRequest,
  RecordGroup,
  RecordsDriver,
  StoredRecord,
} from "../../src/store/records/driver.ts";
import { Chance } from "./chance.ts";
import { MemoryShelves } from "./memory-shelves.ts";

const limits: DriverLimits = {
  bodyBytesMax: 350_000,
  partBytesMax: 350_000,
  changeRowsMax: 99,
  lateMs: 5_000,
  sweepMs: 60_000,
};

interface Options {
  readonly partitions: number;
  readonly seed?: number;
  /** Absent: late entries are seen at once. */
  readonly clock?: () => number;
  readonly limits?: Partial<DriverLimits>;
}

interface Execution {
  head: HeadRecord | undefined;
  readonly rows: Map<string, StoredRecord>;
  readonly parts: Map<string, Uint8Array>;
}

export class MemoryRecordsDriver implements RecordsDriver {
  readonly name = "memory";
  readonly durability = "Nothing survives the end of the process.";
  readonly partitions: number;
  readonly limits: DriverLimits;
  readonly aggregates: MemoryAggregates;
  readonly shelves: MemoryShelves;
  readonly documents = new MemoryDocuments();
  readonly servers = new MemoryServers();

  constructor(options: Options) {
    this.partitions = options.partitions;
    this.limits = { ...limits, ...options.limits };
    this.aggregates = new MemoryAggregates(this.limits, new Chance(options.seed ?? 1));
    this.shelves = new MemoryShelves(this.limits, options.clock);
  }

  async close(): Promise<void> {}
}

class MemoryAggregates implements Aggregates {
  readonly #limits: DriverLimits;
  readonly #chance: Chance;
  readonly #executions = new Map<string, Execution>();

  constructor(limits: DriverLimits, chance: Chance) {
    this.#limits = limits;
    this.#chance = chance;
  }

  async read({ key, rows }: ReadRequest): Promise<RecordGroup> {
    const execution = this.#of(key);
    return groupOf(execution, rows === "all" ? [...execution.rows.keys()] : (rows ?? []));
  }

  async readHeads(keys: readonly ExecutionKey[]): Promise<readonly (HeadRecord | undefined)[]> {
    return keys.map((key) => this.#of(key).head);
  }

  async change(change: Change): Promise<ChangeAnswer> {
    this.#check(change);
    const execution = this.#of(change.key);
    const { head, rows } = change;
    const holds =
      headHolds(execution.head, head) &&
      rows.every(({ name, expected }) => (execution.rows.get(name)?.version ?? null) === expected);
    if (!holds) {
      if (this.#chance.percent(30)) return { outcome: "refused" };
      const found = groupOf(
        execution,
        rows.map(({ name }) => name),
      );
      return { outcome: "refused", found };
    }
    if (head.kind === "write") execution.head = head.next;
    if (head.kind === "delete") execution.head = undefined;
    for (const { name, next } of rows) {
      if (next === undefined) execution.rows.delete(name);
      else execution.rows.set(name, next);
    }
    return { outcome: "changed" };
  }

  async putParts(key: ExecutionKey, parts: readonly Part[]): Promise<void> {
    for (const { name, body } of parts) {
      if (body.byteLength > this.#limits.partBytesMax) throw new Error(`${name} is too large.`);
      this.#of(key).parts.set(name, body.slice());
    }
  }

  async readParts(
    key: ExecutionKey,
    names: readonly string[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return names.map((name) => this.#of(key).parts.get(name)?.slice());
  }

  async dropParts(key: ExecutionKey, names: readonly string[]): Promise<void> {
    for (const name of names) this.#of(key).parts.delete(name);
  }

  async listParts(request: {
    readonly key: ExecutionKey;
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly string[]> {
    const { key, prefix = "", after, limit } = request;
    return [...this.#of(key).parts.keys()]
      .filter((name) => name.startsWith(prefix))
      .filter((name) => after === undefined || compareText(name, after) > 0)
      .sort(compareText)
      .slice(0, limit);
  }

  /** Of all executions that anything was written of. */
  get ids(): readonly string[] {
    return [...this.#executions.keys()].map((name) => name.slice(name.indexOf("/") + 1));
  }

  /** What is left of an execution: for tests of removals. */
  left(key: ExecutionKey): { readonly rows: readonly string[]; readonly parts: readonly string[] } {
    const { rows, parts } = this.#of(key);
    return { rows: [...rows.keys()], parts: [...parts.keys()] };
  }

  #of({ partition, id }: ExecutionKey): Execution {
    const name = `${partition}/${id}`;
    const known = this.#executions.get(name);
    if (known !== undefined) return known;
    const execution: Execution = { head: undefined, rows: new Map(), parts: new Map() };
    this.#executions.set(name, execution);
    return execution;
  }

  /** Mistakes of the caller, which no database would accept. */
  #check({ head, rows }: Change): void {
    const { bodyBytesMax, changeRowsMax } = this.#limits;
    if (rows.length > changeRowsMax) throw new Error(`${rows.length} rows are too many.`);
    if (new Set(rows.map(({ name }) => name)).size < rows.length) throw new Error("A row twice.");
    for (const { expected, next } of [...rows, ...(head.kind === "write" ? [head] : [])]) {
      if (next === undefined) continue;
      if (Buffer.byteLength(next.body) > bodyBytesMax) throw new Error("A body is too large.");
      if (expected !== null && next.version <= expected) throw new Error("A version goes back.");
    }
  }
}

function groupOf({ head, rows }: Execution, names: readonly string[]): RecordGroup {
  const found = new Map<string, StoredRecord>();
  for (const name of names) {
    const row = rows.get(name);
    if (row !== undefined) found.set(name, row);
  }
  return head === undefined ? { rows: found } : { head, rows: found };
}

function headHolds(head: HeadRecord | undefined, change: HeadChange): boolean {
  switch (change.kind) {
    case "write":
    case "delete":
      return (head?.version ?? null) === change.expected;
    case "open":
      return head?.closed === false;
    case "any":
      return true;
  }
}
