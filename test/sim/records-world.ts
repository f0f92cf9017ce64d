/**
 * The records store in the simulation: each server has its own, on a line of its own to one database
 * in memory, and is cut off, or ends, between any two of its primitives. What takes effect is seen at
 * the database, whoever learns of it.
 */
import { limits } from "../../src/base/limits.ts";
import { type ExecutionKey, executionKey } from "../../src/model/ids.ts";
import type { Change, ChangeAnswer, RecordsDriver } from "../../src/store/records/driver.ts";
import { openRecordsStore } from "../../src/store/records/records-store.ts";
import {
  type CommitRequest,
  type CreateRequest,
  type Holdings,
  type Store,
  StoreFault,
  type TaskView,
} from "../../src/store/store.ts";
import { MemoryRecordsDriver } from "../support/memory-records.ts";
import type { Loop } from "./loop.ts";
import { type Line, send, skewMs } from "./store-line.ts";
import type { Witness } from "./witness.ts";

type Method = (...args: readonly unknown[]) => Promise<unknown>;
type Facet = "aggregates" | "shelves" | "documents" | "servers";

const looksMax = 20;
const hourMs = 3_600_000;

export class RecordsWorld {
  /** Sees the database as it is, without a line. */
  readonly observer: Store;
  readonly #loop: Loop;
  readonly #driver: MemoryRecordsDriver;
  readonly #wrap: (driver: RecordsDriver) => RecordsDriver;
  /** What servers have asked for, by commit id: it may take effect without their learning of it. */
  readonly #asked = new Map<string, (CreateRequest | CommitRequest)[]>();
  #witness: Witness | undefined;
  #stores = 0;

  constructor(
    loop: Loop,
    options: {
      readonly partitions: number;
      readonly wrapDriver?: ((driver: RecordsDriver) => RecordsDriver) | undefined;
    },
  ) {
    this.#loop = loop;
    const seed = loop.chance.below(2 ** 31);
    const clock = () => loop.now;
    this.#driver = new MemoryRecordsDriver({ partitions: options.partitions, seed, clock });
    this.#wrap = options.wrapDriver ?? ((driver) => driver);
    this.observer = openRecordsStore(this.#driver, { nonce: "observer", clock: this.#clock() });
  }

  watchedBy(witness: Witness): void {
    this.#witness = witness;
  }

  #clock() {
    const now = () => this.#loop.now;
    return { now, elapsed: now, after: () => () => {}, soon: () => {} };
  }

  /** The store of one server process. */
  line(line: Line): Store {
    const { process } = line;
    const driver = this.#wrap(this.#lineDriver(line));
    const nonce = `${process.name}-${++this.#stores}`;
    const store = openRecordsStore(driver, { nonce, clock: process.clock });
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (name === "close") return async () => {};
        return async (request: unknown) => {
          // A server goes by the time of the database.
          if (skewMs(line, { request }) > limits.clockSkewMsMax) {
            line.onSkewed();
            throw new StoreFault("not_applied", "this clock is wrong");
          }
          this.#ask(String(name), request);
          const answer = await (value.call(target, request) as Promise<unknown>);
          this.#witness?.reach(String(name), answer);
          return answer;
        };
      },
    });
  }

  #ask(name: string, request: unknown): void {
    if (name !== "create" && name !== "commit") return;
    const asked = request as CreateRequest | CommitRequest;
    this.#asked.set(asked.commitId, [...(this.#asked.get(asked.commitId) ?? []), asked]);
  }

  #lineDriver(line: Line): RecordsDriver {
    const facet = <Name extends Facet>(name: Name): RecordsDriver[Name] =>
      new Proxy(this.#driver[name] as object, {
        get: (target, method) => {
          const value: unknown = Reflect.get(target, method, target);
          if (typeof value !== "function") return value;
          const bound =
            method === "change"
              ? (change: unknown) => this.#change(change as Change)
              : (value.bind(target) as Method);
          return (...args: readonly unknown[]) => {
            const call = { name: String(method), method: () => bound(...args), request: args[0] };
            return send(line, call);
          };
        },
      }) as RecordsDriver[Name];
    const { name, durability, partitions, limits: bounds } = this.#driver;
    return {
      ...{ name, durability, partitions, limits: bounds },
      // Drivers go by the time of the database, whatever is done to the clock of the server.
      timeOffset: () => {
        const { clockErrorMs } = line.process;
        return Math.abs(clockErrorMs) > limits.clockSkewMsMax ? -clockErrorMs : 0;
      },
      aggregates: facet("aggregates"),
      shelves: facet("shelves"),
      documents: facet("documents"),
      servers: facet("servers"),
      close: async () => {},
    };
  }

  /** A change takes effect, and the witness sees what it did. */
  async #change(change: Change): Promise<ChangeAnswer> {
    const { key } = change;
    const before = await this.#look(key);
    const answer = await this.#driver.aggregates.change(change);
    if (answer.outcome === "changed") await this.#tell(key, before, await this.#look(key));
    return answer;
  }

  async #look(key: ExecutionKey): Promise<Look> {
    const loaded = await this.observer.load({ key, fields: [] });
    const holdings = await this.observer.holdings(key);
    if (loaded.outcome !== "loaded") return { outcome: loaded.outcome, holdings };
    const { head, state } = loaded;
    return { outcome: loaded.outcome, commitId: head.commitId, state, holdings };
  }

  async #tell(key: ExecutionKey, before: Look, after: Look): Promise<void> {
    const witness = this.#witness as Witness;
    if (after.outcome !== "loaded") {
      if (before.outcome === "loaded") witness.removed(key, "removed");
      return;
    }
    if (after.commitId !== before.commitId) {
      // After a failure a commit may be decided anew under its id.
      const all = this.#asked.get(after.commitId as string);
      const asked = all?.findLast(({ state }) => state === after.state);
      if (asked === undefined) witness.violate(`${after.commitId} was never asked for`);
      else if ("expected" in asked) await witness.committed(asked, committed(asked));
      else await witness.created(asked, { outcome: "created", head: headOf(asked) });
      return;
    }
    const tasks = new Map(before.holdings.tasks.map((task) => [task.id, task]));
    for (const task of after.holdings.tasks) tellTask(witness, key, tasks.get(task.id), task);
    const left = new Set(after.holdings.messages);
    const gone = before.holdings.messages.filter((id) => !left.has(id));
    const messages = gone.map((id) => ({ key, id }));
    witness.acknowledged({ partition: key.partition, messages });
  }

  /**
   * When tombstones have ended, somebody looks at all that servers look at: what writes that were lost
   * have left is gone then.
   */
  async checkLeft(witness: Witness): Promise<void> {
    const now = this.#loop.now + limits.tombstoneSecondsDefault * 1000 + 2 * hourMs;
    const clock = { ...this.#clock(), now: () => now };
    const driver = this.#wrap(this.#driver);
    const store = openRecordsStore(driver, { nonce: "afterwards", clock });
    for (let partition = 0; partition < store.partitions; partition++) {
      for (let look = 0; look < looksMax; look++) {
        const claim = { partition, claimId: `look ${look}`, limit: 1_000, hideMs: 1, now };
        await store.claimDue(claim);
        await store.claimOutbox(claim);
        const queues = (await store.queueHints({ partition })).map((name) => ({ name, limit: 99 }));
        const worker = { tokenPrefix: `look ${look}`, workerId: "w", heartbeatMs: 1 };
        await store.claimTasks({ partition, queues, limit: 99, now, ...worker });
      }
    }
    for (const id of this.#driver.aggregates.ids) {
      const key = executionKey(id, store.partitions);
      const { parts } = this.#driver.aggregates.left(key);
      const { outcome } = await this.observer.load({ key, fields: [] });
      if (outcome !== "not_found" || parts.length === 0) continue;
      witness.violate(`${id} is ${outcome}, and has left ${parts.join(", ")}`);
    }
  }
}

interface Look {
  readonly outcome: string;
  readonly commitId?: string;
  readonly state?: string;
  readonly holdings: Holdings;
}

function headOf({ commitId }: CreateRequest) {
  return { revision: 1, commitId };
}

function committed({ expected, commitId }: CommitRequest) {
  const head = { revision: expected.revision + 1, commitId };
  return { outcome: "committed", head } as const;
}

/** A task that no commit has changed. */
function tellTask(
  witness: Witness,
  key: ExecutionKey,
  before: TaskView | undefined,
  after: TaskView,
): void {
  const { id, token, leaseUntil = 0 } = after;
  const lease = { key, taskId: id };
  if (before === undefined) {
    witness.violate(`${id} is added by no commit`);
  } else if (before.token !== undefined && token === undefined) {
    witness.leases.released([{ ...lease, token: before.token }], ["released"]);
  } else if (token !== undefined && token !== before.token) {
    witness.claimed({ tasks: [{ key, id, token, leaseUntil } as never] });
  } else if (token !== undefined && leaseUntil !== before.leaseUntil) {
    witness.leases.extended([{ ...lease, token }], [{ outcome: "extended", leaseUntil }]);
  }
}
