/**
 * Executions as they are read and changed: one conditional write, its hints and parts before it, what
 * is outdated after it. A crash between any two of these leaves hints and parts that lead to nothing.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { faultOutcome, StoreFault } from "../store.ts";
import { decodeHead, decodeRow } from "./codec.ts";
import type { HeadRecord, RecordGroup, RecordsDriver } from "./driver.ts";
import { type Draft, Edit, rowName } from "./edit.ts";
import type { HintPlace, PlaceIds } from "./hints.ts";
import type { ExecutionRecord, Group, RowRecord, Text } from "./model.ts";
import type { QueueIndex } from "./queue-index.ts";
import { PartMissing, Texts } from "./texts.ts";

/** Executions whose heads are remembered, so that a commit need not read. */
const cachedMax = 4_000;
/** Others may change a record at the same time; then it is read and changed anew. */
const triesMax = 20;

interface UpdateOptions {
  readonly key: ExecutionKey;
  readonly now: number;
  /** Ids of tasks in rows. */
  readonly rows?: "all" | readonly string[];
  readonly group?: Group;
  /** True: the group was read just now; otherwise it is read again before nothing is changed. */
  readonly isFresh?: boolean;
  readonly headKind?: "open" | "any";
  readonly isFollowed?: boolean;
}

export class Records {
  readonly driver: RecordsDriver;
  readonly texts: Texts;
  readonly ids: PlaceIds;
  readonly #queues: QueueIndex;
  readonly #cached = new BoundedMap<string, ExecutionRecord>(cachedMax);
  readonly #spilled = new WeakMap<object, Text>();

  constructor(driver: RecordsDriver, ids: PlaceIds, queues: QueueIndex) {
    this.driver = driver;
    this.texts = new Texts(driver);
    this.ids = ids;
    this.#queues = queues;
  }

  // Reading

  async read(
    key: ExecutionKey,
    { rows, sure }: { readonly rows?: "all" | readonly string[]; readonly sure?: boolean } = {},
  ): Promise<Group> {
    const names = rows === "all" || rows === undefined ? rows : rows.map(rowName);
    const request = names === undefined || names.length === 0 ? { key } : { key, rows: names };
    return await this.whole(async () => {
      const found = await this.driver.aggregates.read(sure ? { ...request, sure } : request);
      return await this.#group(key, found);
    });
  }

  /**
   * A record with what it refers to: another server may have changed it between the two, and dropped
   * what the version that was read refers to. Then both are read anew.
   */
  async whole<Answer>(read: () => Promise<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof PartMissing) || tries >= triesMax) throw error;
      }
    }
  }

  /**
   * Something on the way may have repeated a change that was written, so that its refusal says nothing:
   * until this is read it is not known.
   */
  async readAfterRefusal(key: ExecutionKey, rows?: "all" | readonly string[]): Promise<Group> {
    try {
      return await this.read(key, { ...defined({ rows }), sure: true });
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      throw new StoreFault("unknown", error.message, { reason: error.reason, cause: error });
    }
  }

  /** Heads alone, in the order of `keys`. */
  async readHeads(keys: readonly ExecutionKey[]): Promise<readonly Group[]> {
    const heads = await this.driver.aggregates.readHeads(keys);
    return await Promise.all(
      keys.map((key, i) => {
        const head = heads[i];
        const found = head === undefined ? { rows: new Map() } : { head, rows: new Map() };
        return this.#group(key, found).catch((error) => {
          if (error instanceof PartMissing) return this.read(key);
          throw error;
        });
      }),
    );
  }

  /** As it was last seen here, perhaps before others changed it. */
  cached(key: ExecutionKey): Group | undefined {
    const execution = this.#cached.get(nameOf(key));
    return execution && { execution, rows: new Map() };
  }

  async #group(key: ExecutionKey, { head, rows }: RecordGroup): Promise<Group> {
    const decoded = new Map<string, RowRecord>();
    for (const { version, body } of rows.values()) {
      const row = decodeRow(version, body);
      decoded.set(row.task.id, row);
    }
    const execution = head === undefined ? undefined : await this.#decode(key, head);
    this.#keep(key, execution);
    return { execution, rows: decoded };
  }

  async #decode(key: ExecutionKey, head: HeadRecord): Promise<ExecutionRecord> {
    const known = this.#cached.get(nameOf(key));
    if (known?.version === head.version) return known;
    const readOne = async (ref: Text) => (await this.texts.read(key, [ref]))[0] as string;
    const { execution, lists } = await decodeHead(head, readOne);
    for (const name of ["timers", "messages"] as const) {
      if (typeof lists[name] !== "string") this.#spilled.set(execution[name], lists[name]);
    }
    return execution;
  }

  #keep(key: ExecutionKey, execution: ExecutionRecord | undefined): void {
    const name = nameOf(key);
    if (execution === undefined || execution.grave !== undefined) this.#cached.delete(name);
    else if (execution.version >= (this.#cached.get(name)?.version ?? 0)) {
      this.#cached.set(name, execution);
    }
  }

  // Changing

  edit(options: Omit<ConstructorParameters<typeof Edit>[0], "ids" | "texts" | "spilled">): Edit {
    const { ids, texts } = this;
    return new Edit({ ...options, ids, texts, spilled: this.#spilled });
  }

  /** Whether it was written; if not, somebody else was faster. */
  async apply(draft: Draft): Promise<boolean> {
    const { key } = draft.change;
    const { aggregates, shelves } = this.driver;
    const announced = this.#queues.announcements(key.partition, draft.queues, draft.now);
    const posts = [...announced, ...draft.posts];
    const post = async () => posts.length > 0 && (await shelves.post(posts));
    const put = async () => draft.parts.length > 0 && (await aggregates.putParts(key, draft.parts));
    // Parts of a creation that never comes are found by its hints.
    if (draft.isCreation) {
      await post();
      await put();
    } else await Promise.all([post(), put()]);
    this.#queues.announced(key.partition, announced);
    try {
      const { outcome } = await aggregates.change(draft.change);
      if (outcome === "refused") {
        this.#cached.delete(nameOf(key));
        return false;
      }
    } catch (error) {
      this.#cached.delete(nameOf(key));
      throw error;
    }
    this.#keep(key, draft.group.execution);
    await this.tidy(draft);
    return true;
  }

  /** Of a change that was not written and never will be. */
  async undo(draft: Draft): Promise<void> {
    const strikes = draft.posts.map(({ shelf, entry: { place } }) => ({ shelf, place }));
    const drops = draft.parts.map(({ name }) => name);
    await Promise.all([this.strike(strikes), this.dropParts(draft.change.key, drops)]);
  }

  /** Of a change that was written. What is left all the same leads to nothing. */
  async tidy({ change, strikes, drops }: Draft): Promise<void> {
    await Promise.all([this.strike(strikes), this.dropParts(change.key, drops)]);
  }

  async strike(strikes: readonly HintPlace[]): Promise<void> {
    if (strikes.length === 0) return;
    await this.driver.shelves.strike(strikes).catch(ignoreFault);
  }

  async dropParts(key: ExecutionKey, drops: readonly string[]): Promise<void> {
    if (drops.length === 0) return;
    await this.driver.aggregates.dropParts(key, drops).catch(ignoreFault);
  }

  /**
   * Reads, decides and changes, until nobody else was faster. A change with an unknown outcome is
   * decided anew, on what is then read for sure: `decide` must find its own result there.
   */
  async update<Answer>(
    options: UpdateOptions,
    decide: (edit: Edit) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { key, rows, isFresh = false } = options;
    let { group } = options;
    let failure: unknown;
    for (let tries = 0; tries < triesMax; tries++) {
      const isOutdated = group !== undefined && !isFresh;
      const isRepeat = tries > 0 && group === undefined;
      group ??= await (isRepeat
        ? this.readAfterRefusal(key, rows)
        : this.read(key, defined({ rows })));
      const edit = this.edit({ ...options, group });
      group = undefined;
      const answer = await decide(edit);
      const draft = edit.close();
      if (draft === null) {
        if (isOutdated) continue;
        await this.strike(edit.strikes);
        return answer;
      }
      try {
        if (await this.apply(draft)) return answer;
      } catch (error) {
        // The first one may be under way still.
        if (failure !== undefined) throw failure;
        if (faultOutcome(error) !== "unknown") throw error;
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    throw new StoreFault("not_applied", `Too many changes of the execution ${key.id} at once.`);
  }

  /** A change that is under way is refused from now on. */
  async fence(key: ExecutionKey, now: number, taskId?: string): Promise<void> {
    const rows = taskId === undefined ? [] : [taskId];
    let first: number | undefined;
    await this.update({ key, now, rows }, (edit) => {
      const version = edit.versionOf(taskId);
      // Whoever raised it.
      if (first !== undefined && version !== first) return;
      first = version;
      const task = taskId === undefined ? undefined : edit.task(taskId);
      if (task !== undefined) edit.setTask({ ...task });
      else if (edit.execution !== undefined) edit.change({});
    });
  }
}

function nameOf({ partition, id }: ExecutionKey): string {
  return `${partition}/${id}`;
}

function ignoreFault(error: unknown): void {
  if (!(error instanceof StoreFault)) throw error;
}
