/**
 * Commits decisions. What a commit brings about (tasks, timers, an end) is passed to the other
 * parts of the runtime after it holds, never before; after an unknown outcome the store is read to
 * see what holds.
 */

import type { Clock, Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { advance, encodeState } from "../../engine/stored/codec.ts";
import type { Decision } from "../../model/decision.ts";
import { type Execution, isOpen } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import {
  type CommitAnswer,
  type CommitRequest,
  faultOutcome,
  type Head,
  type Store,
  StoreFault,
} from "../../store/store.ts";
import type { MainThread } from "../../telemetry/main-thread.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Formats } from "../peers/formats.ts";
import type { CachedExecution, ExecutionCache } from "./cache.ts";
import type { Committed } from "./committed.ts";
import type { Decided } from "./decider.ts";
import { type Mailbox, noteDecided } from "./mailbox.ts";
import { type Offers, offerTasks } from "./offers.ts";
import { isTooLarge, portionsOf } from "./portions.ts";

export interface CommitterOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly formats: Pick<Formats, "written">;
  readonly dispatcher: Dispatcher;
  readonly cache: ExecutionCache;
  readonly onCommitted: (committed: Committed) => void;
  /** A decision that may hold or not: what it would bring about is to be looked for. */
  readonly onUnknown: (key: ExecutionKey, decision: Decision) => void;
  readonly mainThread: MainThread;
  /** Called when a commit begins; what it returns, when it has ended. */
  readonly timeCommit: () => (outcome: string) => void;
}

/** What became of a commit. */
type Outcome =
  | {
      readonly outcome: "done";
      /** What the execution has become; absent: others may have gone on from it. */
      readonly at?: CachedExecution;
    }
  | { readonly outcome: "conflict" }
  | {
      readonly outcome: "stale";
      readonly tasks: readonly string[];
      readonly timers: readonly string[];
    };

const done: Outcome = { outcome: "done" };

const noEffects: CommitRequest["effects"] = {
  tasks: [],
  dropTasks: [],
  timers: [],
  dropTimers: [],
  messages: [],
  history: [],
};

/** A commit that is under way. */
interface Commit {
  readonly commitId: string;
  readonly decided: Decided;
  readonly offers: Offers;
}

export class Committer {
  readonly #options: CommitterOptions;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  commit(box: Mailbox, expected: Head, decided: Decided): Promise<Outcome> {
    if (isTooLarge(decided.decision)) return this.#commitInPortions(box, expected, decided);
    return this.#commit(box, expected, decided);
  }

  async #commitInPortions(box: Mailbox, expected: Head, decided: Decided): Promise<Outcome> {
    const { before, decision, plan } = decided;
    const { ahead, data, behind } = portionsOf(before, decision, plan);
    let head: Head | undefined = expected;
    for (const portion of ahead) {
      head = await this.#write(box, { head, of: before, data: portion });
      if (head === undefined) return { outcome: "conflict" };
    }
    const committed = await this.#commit(box, head, decided, data);
    if (committed.outcome !== "done" || committed.at === undefined) return committed;
    const { execution } = committed.at;
    head = committed.at.head;
    for (const portion of behind) {
      head = await this.#write(box, { head, of: execution, data: portion }).catch(() => undefined);
      if (head === undefined) break;
    }
    if (head === undefined) this.#options.cache.drop(box.key.id);
    else this.keep(box, head, execution);
    return committed;
  }

  /** Writes fields and nothing else; undefined: another server has gone on from this head. */
  async #write(
    { key }: Mailbox,
    { head: expected, of, data }: { head: Head; of: Execution; data: CommitRequest["data"] },
  ): Promise<Head | undefined> {
    const { store, clock, ids, formats } = this.#options;
    const { status, endedAt } = of.state;
    const commitId = ids.nonce();
    const answer = await store
      .commit({
        key,
        expected,
        commitId,
        state: encodeState(of, formats.written()),
        status,
        ...defined({ endedAt }),
        data,
        settle: [],
        expire: [],
        consumeTimers: [],
        effects: noEffects,
        now: clock.now(),
      })
      .catch((error) => {
        if (!(error instanceof StoreFault)) throw error;
        // Of what the caller wants, nothing was applied.
        throw new StoreFault("not_applied", error.message, { reason: error.reason, cause: error });
      });
    return "head" in answer && answer.head.commitId === commitId ? answer.head : undefined;
  }

  /** With callbacks: an async function more is felt, as this is every step. */
  #commit(
    box: Mailbox,
    expected: Head,
    decided: Decided,
    data = decided.decision.data,
  ): Promise<Outcome> {
    const { decision } = decided;
    const { store, ids, dispatcher, formats, mainThread, timeCommit } = this.#options;
    const startedAt = performance.now();
    const now = decided.clock.now();
    const commitId = ids.nonce();
    const origin = decided.mail[0]?.origin;
    const offers = offerTasks(dispatcher, { key: box.key, decision, origin, now });
    for (const mail of decided.mail) noteDecided(mail);
    const { state, hold } = decision;
    const request: CommitRequest = {
      key: box.key,
      expected,
      commitId,
      state: encodeState(decision, formats.written()),
      status: state.status,
      ...defined({ endedAt: state.endedAt, hold }),
      data,
      settle: decision.settle,
      expire: decision.expire,
      consumeTimers: decision.consumeTimers,
      effects: offers.effects,
      now,
    };
    const commit: Commit = { commitId, decided, offers };
    const tell = timeCommit();
    const committing = store.commit(request);
    mainThread.ran("execution", box.key.id, startedAt);
    return committing.then(
      (result) => {
        tell(result.outcome);
        return this.#answered(box, commit, result);
      },
      (error) => {
        tell(faultOutcome(error));
        return this.#failed(box, commit, error);
      },
    );
  }

  #answered(box: Mailbox, { commitId, decided, offers }: Commit, result: CommitAnswer): Outcome {
    if (result.outcome === "committed" || result.outcome === "already_committed") {
      const { before, decision, plan } = decided;
      const after = advance(before, decision);
      box.scripts?.age();
      this.keep(box, result.head, after);
      // A repeated commit, which others have gone on from: what is known of it here is old.
      const isLatest = result.head.commitId === commitId;
      if (!isLatest) this.#options.cache.drop(box.key.id);
      offers.deliver();
      this.#options.onCommitted({ key: box.key, before, after, decision, plan });
      return isLatest ? { outcome: "done", at: { head: result.head, execution: after } } : done;
    }
    offers.withdraw();
    if (result.outcome === "stale") return result;
    return { outcome: "conflict" };
  }

  async #failed(box: Mailbox, commit: Commit, error: unknown): Promise<Outcome> {
    const { commitId, decided, offers } = commit;
    offers.withdraw();
    if (!(error instanceof StoreFault) || error.outcome !== "unknown") throw error;
    const outcome = await this.#resolveUnknown(box, commitId);
    if (outcome === "conflict") return { outcome };
    offers.giveBack();
    const { before, decision, plan } = decided;
    if (outcome === "unknown") {
      this.#options.onUnknown(box.key, decision);
      throw error;
    }
    box.scripts?.age();
    const after = advance(before, decision);
    this.#options.onCommitted({ key: box.key, before, after, decision, plan });
    return { outcome };
  }

  /** After an unknown outcome nothing is delivered before the store has said what holds. */
  async #resolveUnknown(box: Mailbox, commitId: string): Promise<"done" | "conflict" | "unknown"> {
    this.#options.cache.drop(box.key.id);
    const request = { key: box.key, fields: [], sure: true };
    const answer = await this.#options.store.load(request).catch(() => undefined);
    if (answer?.outcome !== "loaded") return "unknown";
    return answer.recentCommitIds.includes(commitId) ? "done" : "conflict";
  }

  /** What the execution has become stays in memory while news of it is near. */
  keep(box: Mailbox, head: Head, execution: Execution): void {
    const { id } = box.key;
    const hasEnded = !isOpen(execution.state.status);
    if (hasEnded) box.scripts?.abandonAll();
    // An execution that has ended, or only waits, is not read soon: its memory is worth more to
    // others.
    if (hasEnded || !isBusy(execution)) this.#options.cache.drop(id);
    else this.#options.cache.put(id, { head, execution });
  }
}

/** Whether an action of it is with the workers or the sandbox, so that news of it is near. */
function isBusy({ records, state }: Execution): boolean {
  if (state.ready.length > 0) return true;
  // From the end, where the latest actions of long workflows are.
  for (let index = records.length - 1; index >= 0; index--) {
    const { status, items } = records[index] ?? {};
    if (status === "SCHEDULED" || status === "RUNNING") return true;
    if (status === "WAITING" && items !== undefined) return true;
  }
  return false;
}
