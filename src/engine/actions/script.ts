/**
 * Scripts of actions: evaluated by the runtime, in a sandbox, each comes back as an event. A
 * timer guards it: if this server dies meanwhile, another one requests the evaluation again.
 * Where the sandbox has no room the script is WAITING under the same timer, for as long as it takes:
 * the server calls it up when it has room, and any server may when the timer is due.
 */
import { limits } from "../../base/limits.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ScriptRequest } from "../../model/decision.ts";
import type { ScriptOutcome } from "../../model/event.ts";
import type { Draft } from "../decision/draft.ts";
import { failIfTooLarge } from "./common.ts";
import { randomOf } from "./random.ts";
import { type ActionRules, accepted } from "./rules.ts";

/** What a kind has evaluated, and what follows from the outcome. */
interface Scripted<Action> {
  /** All that it reads is there. */
  readonly request: (
    draft: Draft,
    action: Action,
  ) => Pick<ScriptRequest, "expression" | "isCondition" | "actions">;
  readonly end: (draft: Draft, action: Action, outcome: ScriptOutcome) => void;
}

/** `start` is for an action that owns no timers. */
export function scriptRules<Action extends PlanAction>({ request, end }: Scripted<Action>) {
  function start(draft: Draft, action: Action): void {
    const handout = draft.nextHandout();
    const record = draft.record(action.index);
    draft.setRecord(action.index, {
      ...record,
      startedAt: record.startedAt ?? draft.now,
      handout,
      timers: [draft.timerId("script", action, handout)],
    });
    if (draft.hasScriptRoom()) evaluate(draft, action);
    else leave(draft, action);
  }

  /** The timer is due, of a script that waits or of one that some server evaluates. */
  function due(draft: Draft, action: Action): void {
    const { status, handout, timers } = draft.record(action.index);
    if (status === "RUNNING" && draft.isScriptUnderWay(handout!)) {
      draft.addTimer(timers![0]!, draft.now + limits.scriptGuardMs);
    } else if (!draft.hasScriptRoom()) {
      leave(draft, action);
    } else if (status === "WAITING") {
      takeTurn(draft, action);
    } else {
      // The server that evaluated it is gone.
      draft.require(action.needs);
      draft.log("script.restarted", action);
      start(draft, action);
    }
  }

  /** There is room for a script that waits. During a pause it waits for the resume. */
  function takeTurn(draft: Draft, action: Action): void {
    const { state } = draft;
    if (state.status === "PAUSED") {
      const timer = draft.record(action.index).timers![0]!;
      draft.dropTimer(timer);
      // Held timers go on with what was left of them when the pause began: nothing.
      state.heldTimers = [...state.heldTimers, { id: timer, at: state.pausedAt ?? draft.now }];
      return;
    }
    draft.require(action.needs);
    evaluate(draft, action);
  }

  function evaluate(draft: Draft, action: Action): void {
    const record = draft.record(action.index);
    draft.addTimer(record.timers![0]!, draft.now + limits.scriptGuardMs);
    draft.setRecord(action.index, { ...record, status: "RUNNING" });
    const view = draft.view();
    draft.scripts.push({
      handout: record.handout!,
      group: draft.state.workflow,
      actionIndex: action.index,
      input: view.input,
      execution: view.execution,
      ...request(draft, action),
    });
  }

  /**
   * The longer it has waited, the longer until its timer is due: many that wait for long must not cost
   * more than they are worth. Chance keeps those that came together from coming back together.
   */
  function leave(draft: Draft, action: Action): void {
    const record = draft.record(action.index);
    const { startedAt = draft.now, handout = 0, timers = [] } = record;
    const waited = Math.max(draft.now - startedAt, limits.scriptWaitMsMin);
    const chance = randomOf(draft.state.seed, draft.state.historySequence + handout);
    const until = draft.now + Math.floor(Math.min(waited, limits.scriptWaitMsMax) * (1 + chance));
    draft.addTimer(timers[0]!, until);
    draft.setRecord(action.index, { ...record, status: "WAITING" });
    draft.waitingScripts.push({ handout, until });
  }

  return {
    start,
    timers: {
      script: (draft, action) => failIfTooLarge(draft, action, () => due(draft, action)),
    },
    events: {
      script(draft, action, { outcome }) {
        end(draft, action, outcome);
        return accepted;
      },
      "script-turn"(draft, action) {
        if (draft.record(action.index).status === "WAITING") {
          failIfTooLarge(draft, action, () => takeTurn(draft, action));
        }
        return accepted;
      },
    },
  } satisfies ActionRules<Action>;
}
