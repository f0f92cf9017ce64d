/** Places in waiting polls for the tasks of a commit, so that they are leased in the commit itself. */
import type { Decision, NewTask } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { HandOff, LeasedTask, StoreEffects } from "../../store/store.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Poll } from "../dispatch/poll.ts";

/** New tasks with the places that were found for them, and what is to follow the commit. */
export interface Offers {
  readonly effects: StoreEffects;
  /** The commit holds. */
  deliver(): void;
  /** It does not. */
  withdraw(): void;
  /** It may hold, or held and its answer came too late: leases that exist go back. */
  giveBack(): void;
}

function nothingOffered(effects: StoreEffects): Offers {
  const nothing = () => {};
  return { effects, deliver: nothing, withdraw: nothing, giveBack: nothing };
}

/** Looks for a waiting poll for each new task; first the one that brought what led to it. */
export function offerTasks(
  dispatcher: Dispatcher,
  commit: {
    readonly key: ExecutionKey;
    readonly decision: Decision;
    readonly origin: Poll | undefined;
    readonly now: number;
  },
): Offers {
  const { key, decision, origin, now } = commit;
  if (decision.effects.tasks.length === 0) return nothingOffered(decision.effects);
  const offered: { poll: Poll; task: NewTask; lease: HandOff }[] = [];
  const queued: NewTask[] = [];
  const tasks: (NewTask & { lease?: HandOff })[] = [];
  for (const task of decision.effects.tasks) {
    const held = decision.state.status !== "RUNNING";
    const offer = held ? undefined : dispatcher.offer(key.partition, task, origin, now);
    if (offer === undefined) {
      queued.push(task);
      tasks.push(task);
    } else {
      offered.push({ ...offer, task });
      tasks.push({ ...task, lease: offer.lease });
    }
  }
  const effects: StoreEffects = { ...decision.effects, tasks };
  return {
    effects,
    deliver: () => {
      for (const { poll, task, lease } of offered) {
        dispatcher.deliver(poll, leasedTask(key, task, lease, now));
      }
      for (const task of queued) dispatcher.queued(key, task);
    },
    withdraw: () => {
      for (const { poll, task } of offered) dispatcher.withdraw(poll, task);
    },
    giveBack: () => {
      dispatcher.giveBack(offered.map(({ task, lease }) => leasedTask(key, task, lease, now)));
      for (const task of queued) dispatcher.queued(key, task);
    },
  };
}

function leasedTask(key: ExecutionKey, task: NewTask, lease: HandOff, now: number): LeasedTask {
  return {
    key,
    id: task.id,
    queue: task.queue,
    token: lease.token,
    leasedAt: now,
    leaseUntil: lease.leaseUntil,
    deadline: lease.deadline,
    heartbeatMs: lease.leaseUntil < lease.deadline ? lease.leaseUntil - now : 0,
    header: task.header,
    parameters: task.parameters,
  };
}
