/** Leases as workers keep them: heartbeats extend them, and what is not done goes back. */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { type ExecutionKey, executionKey, parseTaskId, parseToken } from "../../model/ids.ts";
import type { ExtendAnswer, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Beats } from "../dispatch/beats.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Driver } from "../driving/driver.ts";
import type { Standstill } from "../peers/standstill.ts";
import { logFault } from "../shared/faults.ts";
import type { HeartbeatSent } from "../shared/orchestrator.ts";
import { inBatches } from "./batches.ts";

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly dispatcher: Dispatcher;
  readonly driver: Driver;
  readonly beats: Beats;
  readonly standstill: Standstill;
}

interface Lease {
  readonly key: ExecutionKey;
  readonly taskId: string;
  readonly token: string;
}

/** The lease that a token names; undefined: the text is not a token. */
export function leaseOf(token: string, partitions: number): Lease | undefined {
  const taskId = parseToken(token)?.taskId;
  const task = taskId === undefined ? undefined : parseTaskId(taskId);
  if (taskId === undefined || task === undefined) return undefined;
  return { key: executionKey(task.executionId, partitions), taskId, token };
}

export class Leases {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async heartbeat(
    sent: readonly HeartbeatSent[],
  ): Promise<readonly ("extended" | "stale" | "cancelled")[]> {
    const { store, clock, beats, standstill } = this.#options;
    const tokens = sent.map(({ token }) => token);
    const silences = new Map<string, Promise<number>>();
    const outcomes = await this.#byPartition(tokens, "stale", async (partition, leases) => {
      const silentMs = await Promise.all(leases.map((lease) => this.#silenceMs(lease, silences)));
      const extend = (): Promise<readonly ExtendAnswer[]> => {
        const now = clock.now();
        const asked = leases.map((lease, index) => ({ ...lease, until: now + silentMs[index]! }));
        const lateMs = standstill.lateMs();
        const request = { partition, leases: asked, now, lateMs };
        return standstill.ask(partition, () => store.extendLeases(request));
      };
      let answers = await extend();
      // That the store stood still may show in its answer only; a repeat changes nothing.
      const isLate = answers.some(({ outcome }) => outcome === "stale");
      if (isLate && standstill.lateMs() > 0) answers = await extend();
      return answers.map((answer) => answer.outcome);
    });
    for (const [index, { token, progress }] of sent.entries()) {
      if (outcomes[index] === "extended") beats.note(token, clock.now(), progress);
    }
    return outcomes;
  }

  /** How long its worker may be silent from now on: as long as from the start. */
  #silenceMs({ key, taskId }: Lease, known: Map<string, Promise<number>>): Promise<number> {
    const actionKey = parseTaskId(taskId)?.actionKey ?? "";
    const action = `${key.id}:${actionKey}`;
    const silence = known.get(action) ?? this.#readSilenceMs(key, actionKey, taskId);
    known.set(action, silence);
    return silence;
  }

  async #readSilenceMs(key: ExecutionKey, actionKey: string, taskId: string): Promise<number> {
    const { driver, log } = this.#options;
    const own = await driver.heartbeatMs(key, actionKey).catch((error) => {
      logFault(log, "the rules of a heartbeat could not be read", error, { taskId });
      return 0;
    });
    return own || limits.heartbeatSecondsDefault * 1000;
  }

  async release(tokens: readonly string[]): Promise<readonly ("released" | "stale")[]> {
    const { store, clock, dispatcher } = this.#options;
    return this.#byPartition(tokens, "stale", async (partition, tasks) => {
      const answers = await store.releaseTasks({ partition, tasks, now: clock.now() });
      const released = tasks.filter((_, index) => answers[index] === "released");
      await dispatcher.letGo(released.map(({ key }) => key));
      return answers;
    });
  }

  /** Few calls for each partition; text that is not a token is refused without the store. */
  async #byPartition<Answer>(
    tokens: readonly string[],
    unknown: Answer,
    ask: (partition: number, leases: Lease[]) => Promise<readonly Answer[]>,
  ): Promise<Answer[]> {
    const answers: Answer[] = tokens.map(() => unknown);
    const sent = tokens.flatMap((token, index) => {
      const lease = leaseOf(token, this.#options.store.partitions);
      return lease === undefined ? [] : [{ index, lease }];
    });
    sent.sort((one, other) => one.lease.key.partition - other.lease.key.partition);
    await inBatches(sent, this.#options.clock, (batch) => {
      const groups = Map.groupBy(batch, ({ lease }) => lease.key.partition);
      const asking = [...groups].map(async ([partition, group]) => {
        const leases = group.map(({ lease }) => lease);
        const found = await ask(partition, leases);
        for (const [place, { index }] of group.entries()) answers[index] = found[place] ?? unknown;
      });
      return Promise.all(asking);
    });
    return answers;
  }
}
