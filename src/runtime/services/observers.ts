/** Waiting for an execution's end, and following it live. */
import type { Clock } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { readHistory } from "../../engine/stored/history.ts";
import type { HistoryEntry } from "../../model/entry.ts";
import { isOpen } from "../../model/execution.ts";
import { executionKey } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { RemoteChanges } from "../peers/remote-changes.ts";
import type { ExecutionResult, Orchestrator, Page } from "../shared/orchestrator.ts";
import { gone, notFound } from "./executions.ts";
import { resultInMemory, type Views } from "./views.ts";
import type { Watchers } from "./watchers.ts";

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly views: Views;
  readonly watchers: Watchers;
  readonly remote: RemoteChanges;
}

/**
 * Rows of history read at a time; each holds the entries of one commit, some with large details.
 */
const rowsPerRead = 50;

export class Observers {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async waitForResult(id: string, waitMs: number, abort?: AbortSignal): Promise<ExecutionResult> {
    const { store, clock, views, watchers, remote } = this.#options;
    const { promise, resolve } = Promise.withResolvers<ExecutionResult | undefined>();
    // Listening first: an end between the read and the wait is not missed.
    const unwatch = watchers.add(id, ({ after, plan }) => {
      if (isOpen(after.state.status)) return;
      // The result is read here, so that it is returned even if the record is removed at once.
      resolve(resultInMemory(plan, after));
    });
    const cancel = clock.after(waitMs, () => resolve(undefined));
    const stopLooking = remote.follow(
      executionKey(id, store.partitions),
      async () => {
        try {
          const now = await views.result(id, abort);
          if (!isOpen(now.status)) resolve(now);
        } catch (error) {
          // Another server has removed it: waiting is pointless.
          if (error instanceof OrchyError && error.code !== "UNAVAILABLE") resolve(undefined);
        }
      },
      { awaitsEnd: true },
    );
    const onAbort = () => resolve(undefined);
    abort?.addEventListener("abort", onAbort);
    if (abort?.aborted) resolve(undefined);
    try {
      const now = await views.result(id, abort);
      if (!isOpen(now.status) || waitMs <= 0) return now;
      return (await promise) ?? (await views.result(id));
    } finally {
      unwatch();
      cancel();
      stopLooking();
      abort?.removeEventListener("abort", onAbort);
    }
  }

  async history(id: string, page: { limit: number; cursor?: string }): Promise<Page<HistoryEntry>> {
    const { store } = this.#options;
    const key = executionKey(id, store.partitions);
    const loaded = await store.load({ key, fields: [] });
    if (loaded.outcome === "not_found") throw notFound(key);
    if (loaded.outcome === "tombstone") throw gone(key);
    // The cursor counts rows and, within the last row, entries.
    const [row, skip] = (page.cursor ?? "0.0").split(".").map(Number) as [number, number];
    const items: HistoryEntry[] = [];
    let chars = 0;
    for (let after = row; ; ) {
      const rows = await store.history({ key, after, limit: rowsPerRead });
      for (const text of rows) {
        const entries = readHistory(text);
        for (let index = after === row ? skip : 0; index < entries.length; index++) {
          const isFull = items.length === page.limit || chars > limits.pageBytesMax;
          if (isFull) return { items, cursor: `${after}.${index}` };
          items.push(entries[index]!);
          chars += text.length / entries.length;
        }
        after += 1;
      }
      if (rows.length < rowsPerRead) return { items };
    }
  }

  /** First what has happened, then what happens, until the execution has ended. */
  async watch(request: Parameters<Orchestrator["watch"]>[0]): Promise<void> {
    const { id, listener, drained, abort } = request;
    const { store, watchers, remote } = this.#options;
    const key = executionKey(id, store.partitions);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    let last = request.after;
    let replaying = true;
    let missed = false;
    const tell = (entry: HistoryEntry) => {
      if (entry.sequence <= last) return;
      last = entry.sequence;
      listener(entry);
    };
    let look = async () => {};
    const unwatch = watchers.add(id, ({ decision, after }) => {
      const entries = decision.effects.history.flatMap(readHistory);
      if (replaying) missed = true;
      // What another server has written before it is still to be read.
      else if ((entries[0]?.sequence ?? 0) > last + 1) return void look().catch(() => {});
      else entries.forEach(tell);
      if (!isOpen(after.state.status)) end();
    });
    abort.addEventListener("abort", () => end());
    let stopLooking = () => {};
    try {
      const loaded = await store.load({ key, fields: [] });
      if (loaded.outcome === "not_found") throw notFound(key);
      if (loaded.outcome === "tombstone") throw gone(key);
      if (!isOpen(loaded.status)) end();
      let { revision } = loaded.head;
      let rows = await this.#replay({ id, from: 0, tell, abort, drained });
      // What happened meanwhile is in the store, and read from there: it may be long, too.
      while (missed) {
        missed = false;
        rows = await this.#replay({ id, from: rows, tell, abort, drained });
      }
      replaying = false;
      if (abort.aborted) return;
      look = async () => {
        const now = await store.load({ key, fields: [] });
        if (now.outcome === "loaded" && now.head.revision === revision) return;
        rows = await this.#replay({ id, from: rows, tell, abort });
        if (now.outcome === "loaded") revision = now.head.revision;
        if (now.outcome !== "loaded" || !isOpen(now.status)) end();
      };
      stopLooking = remote.follow(key, look);
      await ended;
    } finally {
      unwatch();
      stopLooking();
    }
  }

  /** Returns how many rows there are now. */
  async #replay(request: {
    readonly id: string;
    readonly from: number;
    readonly tell: (entry: HistoryEntry) => void;
    readonly abort: AbortSignal;
    readonly drained?: () => Promise<void> | undefined;
  }): Promise<number> {
    const { id, from, tell, abort, drained } = request;
    const { store } = this.#options;
    const key = executionKey(id, store.partitions);
    let after = from;
    while (!abort.aborted) {
      const rows = await store.history({ key, after, limit: rowsPerRead });
      for (const entry of rows.flatMap(readHistory)) {
        tell(entry);
        const full = drained?.();
        if (full !== undefined) await full;
      }
      after += rows.length;
      if (rows.length < rowsPerRead) break;
    }
    return after;
  }
}
