/** What a due item means to the runtime. */
import { isDeadline } from "../../model/timer.ts";
import type { DueItem } from "../../store/store.ts";

export function dueAt(item: DueItem): number {
  if (item.kind === "timer") return item.at;
  return item.kind === "lease" ? item.leaseUntil : item.queueUntil;
}

/** What ends something that others had time for, as opposed to what only goes on then. */
export function endsSomething(item: DueItem): boolean {
  return item.kind !== "timer" || isDeadline(item.id);
}
