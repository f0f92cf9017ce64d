/**
 * Scripts that wait in a store whose only server has just started: the one before knew of them, and
 * their timers name them. On a shared store they are known to the servers that live.
 */

import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { WaitingScript } from "../../model/decision.ts";
import { parseTimer } from "../../model/timer.ts";
import type { Store, TimerPlace } from "../../store/store.ts";

/** Those that are evaluated, or were, are named as well: a turn changes nothing about them. */
export async function findWaitingScripts(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  /** Returns whether to go on. */
  found: (executionId: string, script: WaitingScript) => boolean,
): Promise<void> {
  const latest = clock.now() + 2 * limits.scriptWaitMsMax;
  const limit = limits.timersListedMax;
  for (let partition = 0; partition < store.partitions; partition++) {
    let page: readonly TimerPlace[] = [];
    do {
      const after = page.at(-1);
      page = (await store.listTimers?.({ partition, limit, ...defined({ after }) })) ?? [];
      for (const { key, id, due } of page) {
        const timer = parseTimer(id);
        if (timer?.kind !== "script" || due > latest) continue;
        if (!found(key.id, { handout: timer.handout, until: due })) return;
      }
    } while (page.length === limit && page.at(-1)!.due <= latest);
  }
}
