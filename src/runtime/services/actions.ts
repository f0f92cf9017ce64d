/** Actions with their queues: those that are registered, and those that only have tasks. */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import type { ActionDefinition } from "../../model/definition.ts";
import { parseQueueKey, plainQueueKey } from "../../model/ids.ts";
import { innerQueue } from "../../model/names.ts";
import { compareText } from "../../store/kit/order.ts";
import { noTasks, type QueueCounts, sumOf } from "../../store/kit/queue-counts.ts";
import type { QueueStats, Store } from "../../store/store.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { ActionStats, Page, QueueOfAction } from "../shared/orchestrator.ts";
import type { Pollers } from "./pollers.ts";

interface Options {
  readonly store: Store;
  readonly registry: ActionRegistry;
  readonly pollers: Pollers;
}

export class Actions {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async get(name: string): Promise<ActionStats> {
    const { registry } = this.#options;
    const registered = await registry.get(name);
    const held = (await this.#queueStats()).get(name) ?? [];
    // Tasks of an unregistered action wait all the same.
    if (registered === undefined && held.length === 0) {
      throw new OrchyError("NOT_FOUND", `No action named ${name} is registered or queued.`);
    }
    const [stats] = await this.#withWorkers([this.#statsOf(name, registered, held)]);
    return stats!;
  }

  /** In order of their names. */
  async page(page: { limit: number; cursor?: string }): Promise<Page<ActionStats>> {
    const { registry } = this.#options;
    const { limit, cursor: after = "" } = page;
    const { items: registered, cursor: last } = await registry.page(page);
    const held = await this.#queueStats();
    const known = new Map(registered.map((definition) => [definition.name, definition]));
    // Those beyond the last one of a page belong to the next.
    const isHere = (name: string) =>
      compareText(name, after) > 0 && (last === undefined || compareText(name, last) <= 0);
    const names = [...new Set([...known.keys(), ...[...held.keys()].filter(isHere)])];
    names.sort(compareText);
    const shown = names.slice(0, limit);
    const cursor = shown.length < names.length ? shown.at(-1) : last;
    const all = shown.map((name) => this.#statsOf(name, known.get(name), held.get(name) ?? []));
    return { items: await this.#withWorkers(all), ...defined({ cursor }) };
  }

  /** By action; the server's own queue is not for workers. */
  async #queueStats(): Promise<ReadonlyMap<string, QueueStats[]>> {
    const { store } = this.#options;
    const held = new Map<string, QueueStats[]>();
    for (let partition = 0; partition < store.partitions; partition++) {
      for (const stats of await store.queueStats({ partition })) {
        const { queue, action } = parseQueueKey(stats.queue);
        if (queue === innerQueue) continue;
        held.set(action, [...(held.get(action) ?? []), stats]);
      }
    }
    return held;
  }

  #statsOf(
    name: string,
    registered: ActionDefinition | undefined,
    parts: readonly QueueStats[],
  ): WithoutWorkers {
    const none = noTasks(this.#options.store.traits);
    const queues = new Map<string, QueueStats>();
    for (const part of parts) {
      const queue = plainQueueKey(part.queue);
      queues.set(queue, { queue, ...sumOf(queues.get(queue) ?? none, part) });
    }
    const { leased: running, ...sums } = parts.reduce<QueueCounts>(sumOf, none);
    return {
      definition: registered ?? { name },
      registered: registered !== undefined,
      ...defined({ running }),
      ...sums,
      queues: [...queues.values()],
    };
  }

  async #withWorkers(all: readonly WithoutWorkers[]): Promise<ActionStats[]> {
    const { pollers } = this.#options;
    const { counts } = await pollers.of(
      all.flatMap(({ queues }) => queues.map((one) => one.queue)),
    );
    return all.map((stats) => ({
      ...stats,
      queues: stats.queues.map(
        (one): QueueOfAction => ({
          ...one,
          workers: counts.get(one.queue) ?? { waiting: 0, busy: 0 },
        }),
      ),
    }));
  }
}

type WithoutWorkers = Omit<ActionStats, "queues"> & { readonly queues: readonly QueueStats[] };
