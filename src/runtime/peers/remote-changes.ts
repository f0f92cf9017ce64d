/**
 * Executions that callers watch here and that other servers may drive. Servers send each other
 * which executions they watch, and the server that commits one of those sends a note of the change:
 * what is not watched costs nothing, and what does not change nearly nothing. Notes may be lost,
 * and a server that has just started knows of none, so that each execution is also looked at now
 * and then.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { type ExecutionKey, executionKey } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Formats } from "./formats.ts";
import type { Notes } from "./notes.ts";

/** Executions watched at other servers that a server remembers. */
const watchedElsewhereMax = 100_000;
/** First look at an execution that is watched here and may be driven elsewhere. */
export const watchedFirstLookMs = 25;
/** Looks at one that has been watched for long. */
export const watchedRestMs = 10_000;
/** Time between two notes to other servers about what is watched here. */
export const watchedTellMs = 30_000;

/** Servers that write it send each other changes. */
const tellingFormat = 3;

const kinds = { watched: "watched", changed: "changed", ended: "ended" } as const;

interface RemoteChangesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly formats: Pick<Formats, "written" | "readByAll">;
}

/** One caller's looks at an execution, never two at a time. */
class Follower {
  /** What happens before the end is of no interest. */
  readonly awaitsEnd: boolean;
  readonly #look: () => Promise<void>;
  readonly #rest: (again: () => void) => () => void;
  #cancel: (() => void) | undefined;
  #isLooking = false;
  #isDue = false;
  #isOver = false;

  /** `rest` calls back when it is time for another look, and returns a cancel. */
  constructor(
    look: () => Promise<void>,
    rest: (again: () => void) => () => void,
    awaitsEnd: boolean,
  ) {
    this.#look = look;
    this.#rest = rest;
    this.awaitsEnd = awaitsEnd;
  }

  async look(): Promise<void> {
    this.#isDue = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#cancel?.();
    while (this.#isDue && !this.#isOver) {
      this.#isDue = false;
      await this.#look().catch(() => {});
    }
    this.#isLooking = false;
    this.rest();
  }

  rest(): void {
    if (!this.#isOver) this.#cancel = this.#rest(() => void this.look());
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel?.();
  }
}

export class RemoteChanges {
  readonly #options: RemoteChangesOptions;
  readonly #followers = new Map<string, Set<Follower>>();
  /** By execution: until when others watch it, in the order of their first notes. */
  readonly #watchedElsewhere = new BoundedMap<string, number>(watchedElsewhereMax);
  /** What has changed in this turn of the event loop, and whether it has ended. */
  #changed = new Map<string, boolean>();
  #cancelTelling: (() => void) | undefined;

  constructor(options: RemoteChangesOptions) {
    this.#options = options;
    const { notes } = options;
    notes.on(kinds.watched, (ids) => {
      for (const id of ids) this.#remember(id);
    });
    notes.on(kinds.changed, (ids) => this.#changedElsewhere(ids, false));
    notes.on(kinds.ended, (ids) => this.#changedElsewhere(ids, true));
  }

  /**
   * Looks whenever another server may have changed the execution, or with `awaitsEnd` ended it;
   * returns what ends the looking.
   */
  follow(
    key: ExecutionKey,
    look: () => Promise<void>,
    { awaitsEnd }: { readonly awaitsEnd: boolean } = { awaitsEnd: false },
  ): () => void {
    const { store, clock } = this.#options;
    if (!store.traits.shared) return () => {};
    let looks = 0;
    const lookAndTell = async () => {
      // Most waits are over before: they cost nothing. Others look again after their note.
      if (looks++ === 0) await this.#send(kinds.watched, [key.id]);
      await look();
    };
    const rest = (again: () => void) => {
      if (looks === 0) return clock.after(watchedFirstLookMs, again);
      // The second look sees what has changed while the others were still hearing of the watcher.
      const isLong = looks > 1 && this.#areTelling();
      return clock.after(isLong ? watchedRestMs : limits.watchedLookMs, again);
    };
    const follower = new Follower(lookAndTell, rest, awaitsEnd);
    const followers = this.#followers.get(key.id) ?? new Set();
    followers.add(follower);
    this.#followers.set(key.id, followers);
    this.#cancelTelling ??= clock.after(watchedTellMs, () => this.#tellAll());
    follower.rest();
    return () => {
      follower.stop();
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(key.id) === followers) {
        this.#followers.delete(key.id);
      }
    };
  }

  /** This server has changed it. */
  committed({ id }: ExecutionKey, isEnd: boolean): void {
    const until = this.#watchedElsewhere.get(id);
    if (until === undefined) return;
    const { clock } = this.#options;
    if (until < clock.now()) {
      this.#watchedElsewhere.delete(id);
      return;
    }
    if (this.#changed.size === 0) {
      clock.soon(() => {
        const changed = [...this.#changed];
        this.#changed = new Map();
        for (const [kind, isOfKind] of [
          [kinds.changed, false],
          [kinds.ended, true],
        ] as const) {
          const ids = changed.filter(([, hasEnded]) => hasEnded === isOfKind).map(([one]) => one);
          void this.#send(kind, ids);
        }
      });
    }
    this.#changed.set(id, isEnd);
  }

  #changedElsewhere(ids: readonly string[], isEnd: boolean): void {
    for (const id of ids) {
      for (const follower of this.#followers.get(id) ?? []) {
        if (isEnd || !follower.awaitsEnd) void follower.look();
      }
    }
  }

  close(): void {
    this.#cancelTelling?.();
  }

  #areTelling(): boolean {
    const { store, formats } = this.#options;
    const format = Math.min(formats.written(), formats.readByAll() ?? 0);
    return store.sendNote !== undefined && format >= tellingFormat;
  }

  #remember(id: string): void {
    const until = this.#options.clock.now() + 2.5 * watchedTellMs;
    this.#watchedElsewhere.set(id, until);
  }

  /** Others forget it after a while, and new servers have not heard of it. */
  #tellAll(): void {
    this.#cancelTelling = undefined;
    if (this.#followers.size === 0) return;
    void this.#send(kinds.watched, [...this.#followers.keys()]);
    const { clock } = this.#options;
    this.#cancelTelling = clock.after(watchedTellMs, () => this.#tellAll());
  }

  async #send(kind: string, ids: readonly string[]): Promise<void> {
    const { store, notes } = this.#options;
    const byPartition = Map.groupBy(ids, (id) => executionKey(id, store.partitions).partition);
    const sending = [...byPartition].map(([partition, some]) => notes.send(kind, partition, some));
    await Promise.all(sending);
  }
}
