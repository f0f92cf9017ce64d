/**
 * Decisions with more fields than a commit may write (limits.commitRowsMax): a map that is cut, a rerun
 * that deletes outputs. Fields that nothing stored refers to are written by commits ahead of it, which
 * change nothing else, and deleted by commits behind it: a crash in between leaves fields that the same
 * decision writes again, or that stay unread until the execution is removed.
 */
import { limits } from "../../base/limits.ts";
import { rowCount } from "../../engine/stored/codec.ts";
import type { Plan } from "../../language/plan.ts";
import type { Decision } from "../../model/decision.ts";
import { type Execution, hasOutput } from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";

type Data = ReadonlyMap<string, JsonText | null>;

interface Portions {
  readonly ahead: readonly Data[];
  readonly data: Data;
  readonly behind: readonly Data[];
}

export function isTooLarge(decision: Decision): boolean {
  return rowCount(decision) > limits.commitRowsMax;
}

export function portionsOf(before: Execution, { data }: Decision, plan: Plan): Portions {
  const all = [...data];
  const isDeleted = ([, text]: (typeof all)[number]) => text === null;
  const isAhead = ([name, text]: (typeof all)[number]) =>
    text !== null && isUnread(before, name, plan);
  return {
    ahead: inPortions(all.filter(isAhead)),
    data: new Map(all.filter((field) => !isAhead(field) && !isDeleted(field))),
    behind: inPortions(all.filter(isDeleted)),
  };
}

/** Outputs of actions without one, and items of maps that have not begun. */
function isUnread({ records }: Execution, name: string, plan: Plan): boolean {
  const [kind, key = ""] = name.split(":");
  const record = records[plan.byKey.get(key) ?? -1];
  return kind === "output" ? !hasOutput(record) : kind === "items" && record?.items === undefined;
}

function inPortions(all: readonly (readonly [string, JsonText | null])[]): Data[] {
  const portions: Data[] = [];
  let portion = new Map<string, JsonText | null>();
  let chars = 0;
  for (const [name, text] of all) {
    const length = text?.length ?? 0;
    const isFull = portion.size === limits.commitRowsMax || chars + length > limits.commitBytesMax;
    if (portion.size > 0 && isFull) {
      portions.push(portion);
      portion = new Map();
      chars = 0;
    }
    portion.set(name, text);
    chars += length;
  }
  return portion.size === 0 ? portions : [...portions, portion];
}
