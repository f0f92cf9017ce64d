/**
 * Children: executions that actions of others start. A child knows its parent, and its id follows from
 * that, so a repeated start finds it.
 */
import { hashId } from "../base/hash.ts";

/** Which action a child belongs to; kept in its state, and part of every message about it. */
export interface ParentLink {
  /** Id of the parent. */
  readonly id: string;
  /** When that one started: its id may have been used before. */
  readonly startedAt: number;
  /** Key of the action. */
  readonly action: string;
  /** The parent's hand-out number for this child; never given twice. */
  readonly handout: number;
  /** Of a map: the index of the item. */
  readonly item?: number;
  /** The action does not wait for the child, which goes on when the parent has ended. */
  readonly detached?: true;
}

/** A child is named by the hand-out of its start, so each retry and each round has one of its own. */
export function childIdOf({ id, startedAt, action, handout, item }: ParentLink): string {
  return hashId("child", id, `${startedAt}`, action, `${handout}`, `${item ?? ""}`);
}

/** What a child runs. */
export interface ChildPlan {
  readonly workflow: string;
  readonly version: number;
  /** Of an inline definition: the keys of the actions that hold it, from the outermost inwards. */
  readonly inline?: readonly string[];
}

/** What the state of a child begins with. */
export interface ChildBeginning {
  readonly parent: ParentLink;
  /** How many parents it has above it. */
  readonly nesting: number;
  readonly inline?: readonly string[];
}
