/** Waiting for an execution's end, and following it live. */
import type { Clock } from "../clock.ts";
import { decodeExecution } from "../engine/codec.ts";
import type { HistoryEntry } from "../model/entry.ts";
import { isOpen } from "../model/execution.ts";
import { executionKey } from "../model/ids.ts";
import type { Store } from "../store/store.ts";
import { gone, notFound } from "./executions.ts";
import type { ExecutionResult, Orchestrator, Page } from "./orchestrator.ts";
import { hasResult, resultOf, type Views } from "./views.ts";
import type { Watchers } from "./watchers.ts";

interface Parts {
  readonly store: Store;
  readonly clock: Clock;
  readonly views: Views;
  readonly watchers: Watchers;
}

/** Rows of history read at a time; each holds the entries of one commit. */
const rowsPerRead = 100;

export class Observers {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async waitForResult(id: string, waitMs: number, abort?: AbortSignal): Promise<ExecutionResult> {
    const { clock, views, watchers } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<ExecutionResult | undefined>();
    // Listening first: an end between the read and the wait is not missed.
    const unwatch = watchers.add(id, ({ after, plan }) => {
      if (isOpen(after.state.status)) return;
      // With the result at hand it is answered even if the record is removed at once.
      resolve(hasResult(plan, after) ? resultOf(plan, after) : undefined);
    });
    const cancel = clock.after(waitMs, () => resolve(undefined));
    const onAbort = () => resolve(undefined);
    abort?.addEventListener("abort", onAbort);
    if (abort?.aborted) resolve(undefined);
    try {
      const now = await views.result(id);
      if (!isOpen(now.status) || waitMs <= 0) return now;
      return (await promise) ?? (await views.result(id));
    } finally {
      unwatch();
      cancel();
      abort?.removeEventListener("abort", onAbort);
    }
  }

  async history(id: string, page: { limit: number; cursor?: string }): Promise<Page<HistoryEntry>> {
    const { store } = this.#parts;
    const key = executionKey(id, store.partitions);
    const loaded = await store.load({ key, fields: [] });
    if (loaded.outcome === "not_found") throw notFound(key);
    if (loaded.outcome === "tombstone") throw gone(key);
    // The cursor counts rows and, within the last row, entries.
    const [row, skip] = (page.cursor ?? "0.0").split(".").map(Number) as [number, number];
    const rows = await store.history({ key, after: row, limit: page.limit + 1 });
    const items: HistoryEntry[] = [];
    for (const [offset, text] of rows.entries()) {
      const entries = JSON.parse(text) as HistoryEntry[];
      for (let index = offset === 0 ? skip : 0; index < entries.length; index++) {
        if (items.length === page.limit) return { items, cursor: `${row + offset}.${index}` };
        items.push(entries[index]!);
      }
    }
    return { items };
  }

  /** First what has happened, then what happens, until the execution has ended. */
  async watch(request: Parameters<Orchestrator["watch"]>[0]): Promise<void> {
    const { id, listener, abort } = request;
    const { store, watchers } = this.#parts;
    const key = executionKey(id, store.partitions);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    let last = request.after;
    let early: HistoryEntry[] | undefined = [];
    const tell = (entry: HistoryEntry) => {
      if (entry.sequence <= last) return;
      last = entry.sequence;
      listener(entry);
    };
    const unwatch = watchers.add(id, ({ decision, after }) => {
      for (const text of decision.effects.history) {
        for (const entry of JSON.parse(text) as HistoryEntry[]) {
          if (early === undefined) tell(entry);
          else early.push(entry);
        }
      }
      if (!isOpen(after.state.status)) end();
    });
    abort.addEventListener("abort", () => end());
    try {
      const loaded = await store.load({ key, fields: [] });
      if (loaded.outcome === "not_found") throw notFound(key);
      if (loaded.outcome === "tombstone") throw gone(key);
      if (!isOpen(decodeExecution(loaded.state, loaded.data).state.status)) end();
      await this.#replay(id, tell, abort);
      for (const entry of early) tell(entry);
      early = undefined;
      if (abort.aborted) return;
      await ended;
    } finally {
      unwatch();
    }
  }

  async #replay(
    id: string,
    tell: (entry: HistoryEntry) => void,
    abort: AbortSignal,
  ): Promise<void> {
    const { store } = this.#parts;
    const key = executionKey(id, store.partitions);
    for (let after = 0; !abort.aborted; ) {
      const rows = await store.history({ key, after, limit: rowsPerRead });
      for (const text of rows) for (const entry of JSON.parse(text) as HistoryEntry[]) tell(entry);
      after += rows.length;
      if (rows.length < rowsPerRead) return;
    }
  }
}
