/** Attempts that are made at an action itself, and not at one item of a map. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, AttemptRecord, Failure } from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import type { Repeated } from "./attempts.ts";
import { type KeptAttempts, withAttempt } from "./kept-attempts.ts";

export class ActionSubject<Action extends PlanAction = PlanAction> implements Repeated {
  readonly draft: Draft;
  readonly task: Action;
  readonly item = undefined;

  constructor(draft: Draft, action: Action) {
    this.draft = draft;
    this.task = action;
  }

  get record(): ActionRecord {
    return this.draft.record(this.task.index);
  }

  setRecord(record: ActionRecord): void {
    this.draft.setRecord(this.task.index, record);
  }

  withAttempt(attempt: AttemptRecord): KeptAttempts {
    return withAttempt(this.record, attempt);
  }

  log(kind: string, attempt: number | undefined, details?: JsonText): void {
    this.draft.log(kind, this.task, attempt, details);
  }

  complete(output: JsonText, kept: KeptAttempts): void {
    const attempts = this.#keep(kept);
    completeAction(this.draft, this.task, { output, route: "default", attempts });
  }

  fail(failure: Failure, kept: KeptAttempts = this.record): void {
    // Its backoff may be over: the attempt that is about to start must not.
    const { ready } = this.draft;
    const place = ready.indexOf(this.task.index);
    if (place >= 0) ready.splice(place, 1);
    failAction(this.draft, this.task, { failure, attempts: this.#keep(kept) });
  }

  /** How many are not kept one by one is seldom anything. */
  #keep({ attempts, attemptsDropped }: KeptAttempts): ActionRecord["attempts"] {
    if (attemptsDropped !== undefined) this.setRecord({ ...this.record, attemptsDropped });
    return attempts;
  }
}

/** The backoff is over. A pause in the meantime holds the attempt back in the row. */
export function endBackoff(draft: Draft, action: PlanAction, timer: string): void {
  const record = draft.record(action.index);
  draft.spendTimer(action, timer);
  if (record.status === "RETRYING") draft.ready.push(action.index);
}
