/**
 * Sees every operation at the shared store when it takes effect, and checks what must hold after
 * each. Knows nothing of servers, only of what the store was asked and what it answered.
 */
import { decodeExecution } from "../../src/engine/stored/codec.ts";
import type { PlanAction } from "../../src/language/kinds/table.ts";
import { executionStatuses } from "../../src/model/execution.ts";
import { type ExecutionKey, executionKey } from "../../src/model/ids.ts";
import { type Message, runEndedWith } from "../../src/model/message.ts";
import { Plans } from "../../src/runtime/catalogue/plans.ts";
import { followUpId } from "../../src/runtime/shared/hash.ts";
import type * as contract from "../../src/store/store.ts";
import { Families } from "./families.ts";
import { LeaseBook } from "./lease-book.ts";
import { Life } from "./life.ts";
import type { Loop } from "./loop.ts";

type Store = contract.Store;
type Request<Name extends keyof Store> = Store[Name] extends (request: infer R) => unknown
  ? R
  : never;
type Answer<Name extends keyof Store> = Store[Name] extends (request: never) => Promise<infer A>
  ? A
  : never;

const namespace = "simulation";

export class Witness {
  readonly leases: LeaseBook;
  readonly lives = new Map<string, Life>();
  readonly families: Families;
  /** What each follow-up message starts, by `source/message`. */
  readonly followUps = new Map<string, { readonly source: Life; readonly target: string }>();
  readonly #loop: Loop;
  readonly #base: Store;
  readonly #plans: Plans;

  constructor(loop: Loop, base: Store) {
    this.#loop = loop;
    this.#base = base;
    this.#plans = new Plans(base);
    this.families = new Families(this.lives, loop.reached, (sentence) => this.violate(sentence));
    this.leases = new LeaseBook(
      () => loop.now,
      (sentence) => this.violate(sentence),
    );
  }

  violate(sentence: string): void {
    this.#loop.violate(sentence);
  }

  /** The store as servers share it. */
  get store(): Store {
    const checks: Record<string, (request: never, answer: never) => unknown> = {
      create: (request: Request<"create">, answer: Answer<"create">) =>
        this.created(request, answer),
      commit: (request: Request<"commit">, answer: Answer<"commit">) =>
        this.committed(request, answer),
      claimTasks: (_: unknown, answer: Answer<"claimTasks">) => this.claimed(answer),
      claimTask: (_: unknown, answer: Answer<"claimTask">) => {
        if (answer.outcome === "claimed") this.claimed({ tasks: [answer.task] });
      },
      extendLeases: ({ leases }: Request<"extendLeases">, answers: Answer<"extendLeases">) =>
        this.leases.extended(leases, answers),
      releaseTasks: ({ tasks }: Request<"releaseTasks">, answers: Answer<"releaseTasks">) =>
        this.leases.released(tasks, answers),
      ackOutbox: (request: Request<"ackOutbox">) => this.acknowledged(request),
      remove: ({ key }: Request<"remove">, answer: Answer<"remove">) => this.removed(key, answer),
    };
    return new Proxy(this.#base, {
      get: (store, name) => {
        const value: unknown = Reflect.get(store, name, store);
        if (typeof value !== "function") return value;
        const method = value.bind(store) as (request: unknown) => Promise<unknown>;
        const check = checks[String(name)];
        return async (request: unknown) => {
          const answer = await method(request);
          this.reach(String(name), answer);
          await check?.(request as never, answer as never);
          return answer;
        };
      },
    });
  }

  reach(name: string, answer: unknown): void {
    for (const one of Array.isArray(answer) ? answer : [answer]) {
      const outcome = typeof one === "string" ? one : (one as { outcome?: string })?.outcome;
      if (outcome !== undefined) this.#loop.reached.add(`${name} ${outcome}`);
    }
  }

  async #loaded(key: ExecutionKey) {
    const answer = await this.#base.load({ key });
    if (answer.outcome === "loaded") return answer;
    this.violate(`${key.id} was committed, and is ${answer.outcome}`);
    return undefined;
  }

  async created(request: Request<"create">, answer: Answer<"create">): Promise<void> {
    const { key, effects } = request;
    const known = this.lives.get(key.id);
    if (answer.outcome === "exists" && known === undefined) {
      this.violate(`${key.id} exists, and was never created`);
    }
    if (answer.outcome !== "created") return;
    if (known !== undefined) {
      if (known.createdBy !== request.commitId) this.violate(`${key.id} was created twice`);
      return;
    }
    const loaded = await this.#loaded(key);
    if (loaded === undefined) return;
    const { state } = decodeExecution(loaded.state, loaded.data);
    const plan = await this.#plans.of(state);
    const violate = (sentence: string) => this.violate(sentence);
    const life = new Life({ key, plan, loaded, violate, createdBy: request.commitId });
    this.lives.set(key.id, life);
    this.leases.added(effects);
    this.#sent(life, effects);
    life.checkHistory(effects);
    await this.#checkHoldings(life);
  }

  async committed(request: Request<"commit">, answer: Answer<"commit">): Promise<void> {
    if (answer.outcome !== "committed") return;
    const life = this.lives.get(request.key.id);
    const loaded = await this.#loaded(request.key);
    if (life === undefined || loaded === undefined) return;
    this.leases.committed(request);
    const handedOut = request.effects.tasks.some((task) => task.lease !== undefined);
    if (handedOut) this.#loop.reached.add("hand-off");
    if (request.expire.length > 0) this.#loop.reached.add("lapse");
    if (handedOut && request.status !== "RUNNING") {
      this.violate(`${life.key.id} is ${request.status}, and a task of it is handed out`);
    }
    this.#sent(life, request.effects);
    const before = life.execution;
    life.committed(request, loaded);
    this.families.committed(before, life);
    if (life.execution.state.continueTimer !== undefined) this.#loop.reached.add("cut");
    const isWaiting = ({ kind, index }: PlanAction) =>
      kind === "javascript" && life.execution.records[index]?.status === "WAITING";
    if (life.plan.actions.some(isWaiting)) this.#loop.reached.add("script waits");
    await this.#checkHoldings(life);
  }

  async #checkHoldings(life: Life): Promise<void> {
    const holdings = await this.#base.holdings(life.key);
    life.checkHoldings(holdings);
    this.leases.compare(life.key, holdings);
  }

  claimed(answer: Pick<contract.ClaimTasksAnswer, "tasks">): void {
    // A claim that is repeated finds what it has leased, a pause in between or not.
    const leased = answer.tasks.filter(({ token }) => !this.leases.isLive(token));
    this.leases.claimed(answer);
    for (const { key } of leased) {
      const status = this.lives.get(key.id)?.status;
      if (status !== "RUNNING") this.violate(`${key.id} is ${status}, and a task of it is leased`);
    }
  }

  #sent(source: Life, effects: contract.StoreEffects): void {
    for (const { id, body } of effects.messages) {
      const message = JSON.parse(body) as Message;
      this.families.sent(`${source.key.id}/${id}`, message);
      if (message.type !== "start") continue;
      const target = followUpId(namespace, { key: source.key, id }, message.sourceStartedAt);
      this.followUps.set(`${source.key.id}/${id}`, { source, target });
    }
  }

  acknowledged({ messages }: Request<"ackOutbox">): void {
    for (const { key, id } of messages) {
      const name = `${key.id}/${id}`;
      this.checkFollowUp(name);
      this.families.acknowledged(name);
    }
  }

  checkFollowUp(name: string): void {
    const followUp = this.followUps.get(name);
    if (followUp === undefined) return;
    const { source, target } = followUp;
    const { followUpFailure, run } = source.execution.state;
    if (this.lives.has(target) || followUpFailure !== undefined) return;
    // A new run was faster.
    if (run > (runEndedWith(name.slice(name.indexOf("/") + 1)) ?? run)) return;
    this.violate(`what follows ${source.key.id} was put away, and never started`);
  }

  removed(key: ExecutionKey, answer: Answer<"remove">): void {
    const life = this.lives.get(key.id);
    if (life === undefined || answer === "conflict" || answer === "not_found") return;
    life.isRemoved = true;
    this.leases.removed(key);
  }

  /** Sums of what the store lists, against what was created and not removed. */
  async checkCounts(): Promise<void> {
    const listed = new Map<string, string>();
    for (let partition = 0; partition < this.#base.partitions; partition++) {
      for (const status of executionStatuses) {
        const { items } = await this.#base.list({ partition, status, limit: 10_000 });
        for (const { id } of items) listed.set(id, status);
      }
    }
    const living = [...this.lives.values()].filter((life) => !life.isRemoved);
    if (living.length !== listed.size) {
      this.violate(`${listed.size} executions are listed, and ${living.length} were started`);
    }
    for (const { key, status } of living) {
      const shown = listed.get(key.id);
      if (shown !== status) this.violate(`${key.id} is ${status} and is listed as ${shown}`);
    }
  }

  async holdings(id: string): Promise<contract.Holdings> {
    return this.#base.holdings(executionKey(id, this.#base.partitions));
  }
}
