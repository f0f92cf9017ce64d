/**
 * The life of one execution as its commits tell it, checked at each of them: nothing happens twice,
 * nothing goes backwards, and what is open owns something that will move it on (promise 3).
 */

import { violations } from "../../src/engine/invariants.ts";
import { decodeExecution } from "../../src/engine/stored/codec.ts";
import { readHistory } from "../../src/engine/stored/history.ts";
import type { Plan } from "../../src/language/plan.ts";
import type { HistoryEntry } from "../../src/model/entry.ts";
import { type Execution, isOpen } from "../../src/model/execution.ts";
import type { ExecutionKey } from "../../src/model/ids.ts";
import { parseTimer } from "../../src/model/timer.ts";
import type { CommitRequest, Holdings, LoadAnswer, StoreEffects } from "../../src/store/store.ts";

type Loaded = Extract<LoadAnswer, { outcome: "loaded" }>;

const ended: ReadonlySet<string> = new Set([
  ...["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED"],
]);

export class Life {
  readonly key: ExecutionKey;
  readonly plan: Plan;
  /** As the latest commit left it. */
  execution: Execution;
  isRemoved = false;
  /** Id of the commit that created it. */
  readonly createdBy: string;
  readonly #violate: (sentence: string) => void;
  readonly #attempts = new Set<string>();
  #revision: number;
  #historySequence = 0;

  constructor(parts: {
    key: ExecutionKey;
    plan: Plan;
    loaded: Loaded;
    createdBy: string;
    violate: (sentence: string) => void;
  }) {
    const { key, plan, loaded, createdBy } = parts;
    this.key = key;
    this.plan = plan;
    this.createdBy = createdBy;
    this.#violate = (sentence) => parts.violate(`${key.id}: ${sentence}`);
    this.execution = decodeExecution(loaded.state, loaded.data);
    this.#revision = loaded.head.revision;
  }

  get status() {
    return this.execution.state.status;
  }

  /** What every commit must leave, its first one included. */
  checkHoldings({ tasks, timers }: Holdings): void {
    const owned = {
      tasks: new Set(tasks.map((task) => task.id)),
      timers: new Set(timers.map((timer) => timer.id)),
    };
    for (const found of violations(this.plan, this.execution, owned)) this.#violate(found);
    for (const timer of owned.timers) {
      if (!this.#isOwned(timer)) this.#violate(`nothing waits for its timer ${timer}`);
    }
  }

  /** Those of the items of a map are in its data. */
  #isOwned(timer: string): boolean {
    const { state, records } = this.execution;
    const parsed = parseTimer(timer);
    if (parsed?.kind === "retention") return !isOpen(state.status);
    if (timer === state.timeoutTimer || timer === state.continueTimer) return true;
    if (parsed !== undefined && "item" in parsed && parsed.item !== undefined) return true;
    const left = state.closing.map((one) => (typeof one === "number" ? undefined : one.record));
    return [...records, ...left].some((record) => record?.timers?.includes(timer));
  }

  checkHistory(effects: StoreEffects): void {
    for (const text of effects.history) {
      for (const entry of readHistory(text)) this.#checkEntry(entry);
    }
    const { historySequence } = this.execution.state;
    if (historySequence !== this.#historySequence) {
      this.#violate(`its history ends at ${this.#historySequence}, not at ${historySequence}`);
    }
  }

  #checkEntry({ sequence, kind, action, attempt, details }: HistoryEntry): void {
    this.#historySequence += 1;
    if (kind === "execution.retried" || kind === "execution.rerun") this.#attempts.clear();
    if (sequence !== this.#historySequence) {
      this.#violate(`entry ${sequence} of its history follows ${this.#historySequence - 1}`);
    }
    if (kind === "action.repaired") this.#violate(`${action} was repaired`);
    const item = kind === "item.failed" ? `item ${(details as { index: number }).index}` : "";
    const once = `${kind} ${action} ${attempt ?? ""}${item}`;
    const mayRepeat = kind === "signal.kept" || /^(?:execution|operation)\./.test(kind);
    if (mayRepeat || kind === "script.restarted") return;
    if (this.#attempts.has(once)) this.#violate(`it happened twice: ${once}`);
    this.#attempts.add(once);
  }

  committed(request: CommitRequest, loaded: Loaded): void {
    const before = this.execution;
    const after = decodeExecution(loaded.state, loaded.data);
    this.execution = after;
    if (loaded.head.revision !== this.#revision + 1) {
      this.#violate(`revision ${loaded.head.revision} follows ${this.#revision}`);
    }
    this.#revision = loaded.head.revision;
    this.#checkForward(before, after);
    for (const [field, text] of request.data) {
      const known = before.data.get(field);
      if (/^(records|item-records|signal|causes|last):/.test(field)) continue;
      const isNewRun = after.state.run > before.state.run;
      if (known !== undefined && known !== text && !isNewRun)
        this.#violate(`${field} was written twice`);
    }
    this.checkHistory(request.effects);
    if (loaded.held && after.state.status === "RUNNING" && after.state.closing.length === 0) {
      this.#violate("it is RUNNING, and its tasks are held");
    }
  }

  #checkForward(before: Execution, after: Execution): void {
    const [from, to] = [before.state, after.state];
    if (to.handout < from.handout) this.#violate("its hand-outs are counted backwards");
    if (to.run < from.run) this.#violate(`run ${from.run} became run ${to.run}`);
    // A new run begins with what it has not reset.
    if (to.run > from.run) return;
    if (!isOpen(from.status) && from.status !== to.status) {
      this.#violate(`it was ${from.status} and is ${to.status}`);
    }
    for (const [index, record] of before.records.entries()) {
      if (record === undefined) continue;
      const now = after.records[index];
      const key = this.plan.actions[index]!.key;
      if (now === undefined) this.#violate(`the record of ${key} is lost`);
      else if (ended.has(record.status) && now.status !== record.status) {
        this.#violate(`${key} was ${record.status} and is ${now.status}`);
      } else if ((now.attempt ?? 0) < (record.attempt ?? 0)) {
        this.#violate(`the attempts of ${key} are counted backwards`);
      }
    }
  }
}
