/** Kinds that run as tasks: the attempts are made at the action itself. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { TaskPlanAction } from "../../language/kinds/task.ts";
import type {
  ActionRecord,
  AttemptRecord,
  ExecutionState,
  Failure,
} from "../../model/execution.ts";
import { formatTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import {
  applyLeaseExpiry,
  applyQueueTimeout,
  applyResult,
  endTotalTime,
  offer,
  type Subject,
} from "./attempts.ts";
import { withNeeds } from "./common.ts";
import { type KeptAttempts, withAttempt } from "./kept-attempts.ts";
import type { ActionRules } from "./rules.ts";

type TaskAction = PlanAction & TaskPlanAction;

class ActionSubject implements Subject {
  readonly draft: Draft;
  readonly task: TaskAction;
  readonly item = undefined;

  constructor(draft: Draft, action: TaskAction) {
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

/** The rules of a kind that runs as tasks. `parametersOf` returns undefined after it has failed it. */
export function taskRules<Action extends TaskAction>(
  parametersOf: (draft: Draft, action: Action) => JsonText | undefined,
): ActionRules<Action> {
  const start = (draft: Draft, action: Action) => {
    const parameters = parametersOf(draft, action);
    if (parameters !== undefined) offer(new ActionSubject(draft, action), { parameters });
  };
  return {
    start,
    timers: {
      retry: endBackoff,
      total: (draft, action, timer) => endTotalTime(new ActionSubject(draft, action), timer),
    },
    events: {
      result: (draft, action, event, handout) =>
        applyResult(new ActionSubject(draft, action), event, handout),
      "lease-expired": (draft, action, event, handout) =>
        applyLeaseExpiry(new ActionSubject(draft, action), event, handout),
      "queue-timeout": (draft, action, _event, handout) =>
        applyQueueTimeout(new ActionSubject(draft, action), handout),
    },
    owns: (state, action, record) => ({ task: ownTask(state, action, record) }),
    /** The same attempt under a new hand-out: a worker that holds the lost one is fenced off. */
    replaceTask(draft, action) {
      const record = draft.record(action.index);
      draft.setRecord(action.index, { ...record, attempt: (record.attempt ?? 1) - 1 });
      withNeeds(draft, action, () => start(draft, action));
    },
  };
}

/** Between two attempts there is none. */
function ownTask(
  { id, run }: ExecutionState,
  { key: actionKey }: TaskPlanAction,
  { status, handout }: ActionRecord,
): string | undefined {
  if (status === "RETRYING" || handout === undefined) return undefined;
  return formatTaskId({ executionId: id, run, handout, actionKey });
}

/** The backoff is over. A pause in the meantime holds the attempt back in the row. */
function endBackoff(draft: Draft, action: TaskAction, timer: string): void {
  const record = draft.record(action.index);
  draft.spendTimer(action, timer);
  if (record.status === "RETRYING") draft.ready.push(action.index);
}
