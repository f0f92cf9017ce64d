/**
 * Promise 3, checked in production: looks slowly at every RUNNING execution, and has the engine
 * repair one that owns nothing that would move it on. What it finds is counted; it should be zero.
 * It also looks for queued tasks that no poll has heard of, a few partitions at a time.
 */

import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { owningFields, violations } from "../../engine/invariants.ts";
import { type ExecutionKey, executionKey } from "../../model/ids.ts";
import { type ListPlace, type Store, StoreFault } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Driver } from "../driving/driver.ts";
import { loadExecution } from "../driving/load.ts";
import { logFault } from "../shared/faults.ts";
import { paceOf } from "../shared/pace.ts";
import { Rounds } from "../shared/rounds.ts";

/** Queues are searched so much more rarely while a broker brings tasks. */
const periodsWithTickets = 3;

export interface SweeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly plans: Plans;
  readonly driver: Driver;
  readonly dispatcher: Dispatcher;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #pace: ReturnType<typeof paceOf>;
  readonly #rounds: Rounds;
  #partition = 0;
  #queuesOf = 0;
  #after: ListPlace | undefined;
  /** Executions found broken since the start of this server. */
  found = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#pace = paceOf(options.store.traits);
    const { sweepMs } = this.#pace;
    this.#rounds = new Rounds({
      clock: options.clock,
      log: options.log,
      round: () => this.sweep().then(() => sweepMs),
      failedRestMs: sweepMs,
      failure: "a sweep failed",
    });
  }

  start(): void {
    this.#rounds.start(this.#pace.sweepMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Looks at the next few executions. */
  async sweep(): Promise<void> {
    const { store, dispatcher } = this.#options;
    // What a broker carries is noted nowhere else: also where no poll waits, it must be seen.
    if (dispatcher.isPolled || dispatcher.broker === "there") {
      const { sweepMs, queueSweepMs } = this.#pace;
      const periods = dispatcher.broker === "there" ? periodsWithTickets : 1;
      const share = Math.min(1, sweepMs / (periods * queueSweepMs));
      const count = Math.ceil(store.partitions * share);
      const next = Array.from({ length: count }, (_, i) => (this.#queuesOf + i) % store.partitions);
      this.#queuesOf = (this.#queuesOf + count) % store.partitions;
      await Promise.all(next.map((partition) => this.refresh(partition)));
    }
    let reached: ListPlace | undefined;
    try {
      reached = await this.#checkSome();
    } finally {
      // After a failure as well: one partition that is away keeps no other from being looked at.
      this.#after = reached;
      if (reached === undefined) this.#partition = (this.#partition + 1) % store.partitions;
    }
  }

  /** The queues of a partition; one that is away is looked at again in a later round. */
  async refresh(partition: number): Promise<void> {
    const { dispatcher, log } = this.#options;
    await dispatcher
      .refresh(partition)
      .catch((error) => logFault(log, "queues could not be checked", error, { partition }));
  }

  /** Returns the last entry that was read; undefined: the partition was read to its end. */
  async #checkSome(): Promise<ListPlace | undefined> {
    const { store, log } = this.#options;
    const { items, reached } = await store.list({
      partition: this.#partition,
      status: "RUNNING",
      limit: this.#pace.sweptPerRound,
      ...defined({ after: this.#after }),
    });
    for (const { id } of items) {
      if (!this.#rounds.isRunning) return undefined;
      await this.check(executionKey(id, store.partitions)).catch((error) => {
        if (error instanceof StoreFault && error.outcome === "not_applied") throw error;
        logFault(log, "an execution could not be checked", error, { id });
      });
    }
    return reached;
  }

  async check(key: ExecutionKey): Promise<readonly string[]> {
    const { store, plans, driver, log } = this.#options;
    const loaded = await loadExecution(store, key, []);
    if (typeof loaded === "string") return [];
    const holdings = await store.holdings(key);
    const plan = await plans.of(loaded.execution.state);
    const fields = owningFields(plan, loaded.execution);
    const owning = fields.length > 0 ? await store.load({ key, fields }) : undefined;
    const data = owning?.outcome === "loaded" ? owning.data : loaded.execution.data;
    const execution = { ...loaded.execution, data };
    const tasks = new Set(holdings.tasks.map((task) => task.id));
    const timers = new Set(holdings.timers.map((timer) => timer.id));
    const found = violations(plan, execution, { tasks, timers });
    if (found.length === 0) return [];
    // A commit between the reads explains everything: it is looked at in the next round.
    const again = await store.load({ key, fields: [] });
    if (again.outcome !== "loaded" || again.head.commitId !== loaded.head.commitId) return [];
    this.found += 1;
    log.error("an execution was broken and is repaired", { id: key.id, found: found.join("; ") });
    await driver.submit(key.id, { type: "repair", tasks, timers });
    return found;
  }
}
