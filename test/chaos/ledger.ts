/** Requests and acknowledgements, and what was seen to be wrong: the memory of a run. */
import type { Kind } from "./kind.ts";

export interface SignalStory {
  readonly event: string;
  readonly signalId: string;
  /** Milliseconds since the epoch; absent: it was not acknowledged. */
  acknowledgedAt?: number;
}

/** One operation by hand. Its id is also its reason, by which the history tells it. */
export interface Deed {
  readonly operation: string;
  readonly operationId: string;
  isAcknowledged: boolean;
}

/** One start, and what was done to its execution. */
export interface Story {
  readonly kind: Kind;
  /** Idempotency key, and `n` of the input. */
  readonly key: string;
  readonly n: number;
  readonly route: string;
  id?: string;
  readonly signals: SignalStory[];
  readonly deeds: Deed[];
  /** The child that people have worked on in its place. */
  childId?: string;
  /** The execution that was forked from it. */
  forkId?: string;
  /** Outputs of the items that had completed when their map was retried. */
  kept?: ReadonlyMap<number, unknown>;
  /** Acknowledged: paused, resumed, cancelled, deleted. */
  readonly done: Set<"pause" | "resume" | "cancel" | "delete">;
  /** The first end that anybody has read. */
  seenEnd?: string;
}

/** What the rude client did to a task of an execution. */
export interface RudeStory {
  readonly sent: Set<string>;
  readonly accepted: Set<string>;
}

export interface Violation {
  readonly sentence: string;
  readonly atMs: number;
}

export class Ledger {
  readonly stories: Story[] = [];
  readonly byId = new Map<string, Story>();
  readonly rude = new Map<string, RudeStory>();
  readonly violations: Violation[] = [];
  /** Acknowledged writes that an asynchronous failover has lost, by kind. */
  readonly excused = new Map<string, number>();
  readonly rudeAnswers = new Map<string, number>();
  /** May acknowledged writes be lost? Only where a replica that lags may take over. */
  forgives = false;
  readonly #begunMs = performance.now();

  violate(sentence: string): void {
    const atMs = Math.round(performance.now() - this.#begunMs);
    this.violations.push({ sentence, atMs });
    console.error(`VIOLATION after ${(atMs / 1_000).toFixed(1)} s: ${sentence}`);
  }

  /** A violation where nothing acknowledged may be lost; counted where the tail of it may be. */
  lost(what: string, sentence: string): void {
    if (this.forgives) this.excused.set(what, (this.excused.get(what) ?? 0) + 1);
    else this.violate(`${what}: ${sentence}`);
  }

  started(story: Story, id: string): void {
    if (story.id !== undefined && story.id !== id) {
      this.violate(`the key ${story.key} has started ${story.id} and ${id}`);
    }
    story.id = id;
    this.byId.set(id, story);
  }

  rudeStory(executionId: string): RudeStory {
    let story = this.rude.get(executionId);
    if (story === undefined) {
      story = { sent: new Set(), accepted: new Set() };
      this.rude.set(executionId, story);
    }
    return story;
  }
}
