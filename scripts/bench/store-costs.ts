/**
 * Operations of a store as a worker makes them, each done so often that its mean cost can be read:
 * what it asks of the database is counted by the caller.
 */
import { executionKey, formatToken } from "../../src/model/ids.ts";
import type { Head, Store } from "../../src/store/store.ts";
import { effects, entryAt, newTask, parameters, queue, state, workerId } from "./store-load.ts";

/** Each operation is done so often; costs are the means. */
export const timesEach = 50;

export type OperationName =
  | "create"
  | "handed-over step"
  | "heartbeat"
  | "step into a queue"
  | "claim from a queue"
  | "end"
  | "empty look for timers"
  | "empty look for messages"
  | "empty look into a queue";

/** What has been spent, by name of what is counted. */
export type Spent<Unit extends string> = Readonly<Record<Unit, number>>;

export interface Cost<Unit extends string> {
  readonly operation: OperationName;
  /** By the design. */
  readonly planned: Spent<Unit>;
  /** Of all the times together. */
  readonly total: Spent<Unit>;
  /** Rounded to tenths. */
  readonly each: Spent<Unit>;
}

export type Measure = (
  operation: OperationName,
  work: (index: number) => Promise<unknown>,
) => Promise<void>;

/** `spent`: of all that this process did until now. */
export async function measureCosts<Unit extends string>(
  store: Store,
  plan: Readonly<Record<OperationName, Spent<Unit>>>,
  spent: () => Spent<Unit>,
): Promise<readonly Cost<Unit>[]> {
  const costs: Cost<Unit>[] = [];
  const measure: Measure = async (operation, work) => {
    // Once without being counted: what is done once for each process or queue.
    await work(timesEach);
    const before = { ...spent() };
    for (let i = 0; i < timesEach; i++) await work(i);
    const after = spent();
    const units = Object.keys(plan[operation]) as Unit[];
    const of = (count: (unit: Unit) => number) =>
      Object.fromEntries(units.map((unit) => [unit, count(unit)])) as Spent<Unit>;
    const total = of((unit) => after[unit] - before[unit]);
    const each = of((unit) => Math.round((total[unit] / timesEach) * 10) / 10);
    costs.push({ operation, planned: plan[operation], total, each });
  };
  // Nothing is there yet.
  await measureLooks(store, measure);
  await measureLife(store, measure, { executions: timesEach + 1, steps: 1 });
  return costs;
}

/** As a table on the console, what was planned beside what was measured. */
export function printCosts<Unit extends string>(costs: readonly Cost<Unit>[]): void {
  console.table(
    costs.map(({ operation, planned, each }) => {
      const units = (Object.keys(planned) as Unit[]).flatMap((unit) => [
        [unit, each[unit]],
        [`planned ${unit}`, planned[unit]],
      ]);
      return { operation, ...Object.fromEntries(units) };
    }),
  );
}

const entry = entryAt(1);

/**
 * Executions, each from its start to its end: the same step of all of them at a time. `steps`: of them
 * that are handed over.
 */
export async function measureLife(
  store: Store,
  measure: Measure,
  { executions, steps }: { readonly executions: number; readonly steps: number },
): Promise<void> {
  const { partitions } = store;
  const ids = Array.from({ length: executions }, () => Bun.randomUUIDv7());
  const heads: Head[] = [];
  const held: { taskId: string; token: string }[] = [];
  let step = 0;
  const keyOf = (i: number) => executionKey(ids[i]!, partitions);

  const commit = async (
    i: number,
    more: { readonly handOff?: boolean; readonly end?: boolean },
  ) => {
    const now = Date.now();
    const taskId = `${ids[i]}:1:${step}:a`;
    const token = formatToken("mf3.0123456789abcdef", taskId);
    const task = newTask(taskId, now, more.handOff ? token : undefined);
    const answer = await store.commit({
      key: keyOf(i),
      expected: heads[i]!,
      state,
      now,
      commitId: `0123456789-${step}`,
      status: more.end ? "COMPLETED" : "RUNNING",
      ...(more.end && { endedAt: now }),
      expire: [],
      consumeTimers: [],
      data: new Map([[`output:${step}`, parameters]]),
      settle: [held[i]!],
      effects: more.end
        ? effects({ timers: [{ id: "retention", at: now + 86_400_000 }], history: [entry] })
        : effects({ tasks: [task], history: [entry] }),
    });
    if (answer.outcome !== "committed") throw new Error(`step: ${answer.outcome}`);
    heads[i] = answer.head;
    held[i] = { taskId, token };
  };

  await measure("create", async (i) => {
    const now = Date.now();
    const taskId = `${ids[i]}:1:0:a`;
    const token = formatToken("mf3.0123456789abcdef", taskId);
    const answer = await store.create({
      key: keyOf(i),
      commitId: "create",
      listing: {
        id: ids[i]!,
        workflow: "orders",
        version: 1,
        status: "RUNNING",
        startedAt: now,
      },
      state,
      now,
      data: new Map([["input", parameters]]),
      effects: effects({ tasks: [newTask(taskId, now, token)], history: [entry] }),
    });
    if (answer.outcome !== "created") throw new Error(`create: ${answer.outcome}`);
    heads[i] = answer.head;
    held[i] = { taskId, token };
  });
  while (step < steps) {
    step += 1;
    await measure("handed-over step", (i) => commit(i, { handOff: true }));
  }
  const leases = (i: number) => [{ key: keyOf(i), ...held[i]!, until: Date.now() + 30_000 }];
  await measure("heartbeat", async (i) => {
    const { partition } = keyOf(i);
    const [answer] = await store.extendLeases({ partition, leases: leases(i), now: Date.now() });
    if (answer?.outcome !== "extended") throw new Error(`heartbeat: ${answer?.outcome}`);
  });
  step += 1;
  await measure("step into a queue", (i) => commit(i, {}));
  const claimed = new Map<string, { taskId: string; token: string }>();
  await measure("claim from a queue", async (i) => {
    const { tasks } = await store.claimTasks({
      partition: keyOf(i).partition,
      queues: [{ name: queue, limit: 1 }],
      limit: 1,
      tokenPrefix: `${i}.0123456789`,
      workerId,
      heartbeatMs: 30_000,
      now: Date.now(),
    });
    if (tasks.length !== 1) throw new Error(`claimed ${tasks.length}`);
    for (const { key, id, token } of tasks) claimed.set(key.id, { taskId: id, token });
  });
  for (const [i, id] of ids.entries()) held[i] = claimed.get(id)!;
  step += 1;
  await measure("end", (i) => commit(i, { end: true }));
}

async function measureLooks(store: Store, measure: Measure): Promise<void> {
  const partition = store.partitions - 1;
  const look = () => ({ partition, limit: 100, hideMs: 5_000, now: Date.now() });
  await measure("empty look for timers", (i) => store.claimDue({ ...look(), claimId: `due-${i}` }));
  await measure("empty look for messages", (i) =>
    store.claimOutbox({ ...look(), claimId: `outbox-${i}` }),
  );
  await measure("empty look into a queue", (i) =>
    store.claimTasks({
      partition,
      queues: [{ name: "default/nobody", limit: 1 }],
      limit: 1,
      tokenPrefix: `none-${i}.0123456789`,
      workerId,
      heartbeatMs: 30_000,
      now: Date.now(),
    }),
  );
}
