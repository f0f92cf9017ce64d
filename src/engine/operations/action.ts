/** What operations on an open action do alike. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { EventAnswer } from "../../model/event.ts";
import { type ActionRecord, isOpenAction } from "../../model/execution.ts";
import { dropOwned } from "../close.ts";
import type { Draft } from "../decision/draft.ts";
import { refusalIfEnded } from "../decision/open.ts";
import { handDetails, type OperationEvent, type OperationRules } from "./rules.ts";

/** The operations that name an action. */
type ActionEvent = Extract<OperationEvent, { readonly action: string }>;

/** The format that knows what they leave behind. */
const byHandFormat = 4;

export function onAction<Name extends ActionEvent["operation"]>(rules: {
  /** Absent: any that is open. */
  readonly applies?: { readonly when: (record: ActionRecord) => boolean; readonly else: string };
  /** Another reason against it. */
  readonly refusal?: (action: PlanAction, event: OperationEvent<Name>) => EventAnswer | undefined;
  readonly apply: (draft: Draft, action: PlanAction, event: OperationEvent<Name>) => void;
}): OperationRules<Name> {
  const { when, else: otherwise } = rules.applies ?? {
    when: isOpenAction,
    else: "only open actions can be ended by hand",
  };
  return {
    format: byHandFormat,
    refusal(draft, event) {
      const { action: key } = event as ActionEvent;
      const action = actionOf(draft, key);
      if (action === undefined) return refusalOfUnknown(key);
      const ended = refusalIfEnded(draft);
      if (ended !== undefined) return ended;
      const record = draft.record(action.index);
      if (when(record)) return rules.refusal?.(action, event);
      const message = `The action ${action.key} is ${record.status}; ${otherwise}.`;
      return { type: "invalid-state", message, actionStatus: record.status };
    },
    apply(draft, event) {
      const { action: key, operation } = event as ActionEvent;
      const action = actionOf(draft, key)!;
      draft.log(`operation.${operation}`, action, undefined, handDetails(event));
      rules.apply(draft, action, event);
    },
  };
}

export function refusalOfUnknown(key: string): EventAnswer {
  return { type: "no-action", message: `The workflow has no action ${key}.` };
}

export function actionOf({ plan }: Draft, key: string): PlanAction | undefined {
  return plan.actions[plan.byKey.get(key) ?? -1];
}

/** What it owns is dropped, and an attempt that is about to start does not. */
export function takeOut(draft: Draft, action: PlanAction): void {
  dropOwned(draft, action, draft.record(action.index));
  const place = draft.ready.indexOf(action.index);
  if (place >= 0) draft.ready.splice(place, 1);
}
