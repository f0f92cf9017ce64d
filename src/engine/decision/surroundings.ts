/** What the engine may look up besides the execution itself. */
import type { Plan } from "../../language/plan.ts";
import type { ActionDefinition } from "../../model/definition.ts";

/** What a decision takes from its server: time, format, rules of user actions, room for scripts. */
export interface Surroundings {
  readonly plan: Plan;
  readonly now: number;
  /** The format to write what others read, such as messages: see model/format.ts. */
  readonly format: number;
  /** The registered rules of a user action, if any. */
  readonly registered: (actionName: string) => ActionDefinition | undefined;
  /** Absent: there is always room, and nothing is under way. */
  readonly scripts?: ScriptPlace;
}

/** What the engine knows of where its scripts are evaluated. */
export interface ScriptPlace {
  /** Whether one more may be evaluated now, beside the `asked` ones that this decision requests. */
  readonly hasRoom: (asked: number) => boolean;
  /** Whether this process evaluates, or is about to evaluate, the script of this hand-out. */
  readonly isUnderWay: (handout: number) => boolean;
}

export const emptyPlace: ScriptPlace = { hasRoom: () => true, isUnderWay: () => false };
