/** How definitions of actions are saved. */
import type { ActionDefinition } from "../../model/definition.ts";

/** A registered action: its rules as they are stored. */
export interface SavedAction {
  readonly definition: ActionDefinition;
  /** Whether it was not registered like this before. */
  readonly changed: boolean;
}

export interface SaveActionOptions {
  readonly lenient: boolean;
  /** The wires of workers cannot say where tasks are delivered to: that stays as it is. */
  readonly byWorker?: true;
}
