/**
 * Random operations on a small space of ids, so that they collide. A request is complete before it
 * is made: every store is given the same one.
 */
import { type ExecutionKey, executionKey, formatToken } from "../../../src/model/ids.ts";
import { type Facet, facetOf, type Operation as Name } from "../../../src/store/facets.ts";
import type * as contract from "../../../src/store/store.ts";
import { Chance } from "../../support/chance.ts";
import type { Knowledge, Lease } from "./knowledge.ts";

export interface Operation {
  readonly name: keyof contract.Store;
  readonly request: never;
}

export interface Space {
  readonly partitions: number;
  /** Small limits make the order of ties visible, which stores may choose. */
  readonly smallLimits: boolean;
  /** With `roughly`, claims take all that there is, as it is open what they give otherwise. */
  readonly claimOrder?: contract.Traits["claimOrder"];
  /** Only operations of these; absent: of all. */
  readonly facets?: readonly Facet[];
}

const executionIds = ["e0", "e1", "e2", "e3", "__proto__"];
const taskIds = ["t0", "t1", "t2", "t3", "t4"];
const timerIds = ["x0", "x1", "x2"];
const messageIds = ["m0", "m1", "m2", "m3"];
const fieldNames = ["input", "output:a", "constructor"];
const queues = ["q/a", "q/b", "q/c"];
const statuses = ["RUNNING", "PAUSED", "COMPLETED", "FAILED"] as const;
const texts = ["{}", "[]", "null", '{"n":12345678901234567890}', '"ü 😀"', " [ ] "];

/** How often each operation is chosen. */
const weights = [
  ["create", 10],
  ["load", 4],
  ["commit", 40],
  ["claimTasks", 14],
  ["claimTask", 5],
  ["readTask", 3],
  ["extendLeases", 8],
  ["releaseTasks", 6],
  ["claimDue", 12],
  ["listTimers", 3],
  ["claimOutbox", 6],
  ["ackOutbox", 4],
  ["remove", 5],
  ["holdings", 3],
  ["list", 3],
  ["history", 1],
  ["queueStats", 2],
  ["queueHints", 2],
  ["putDocument", 2],
  ["getDocument", 1],
  ["listDocuments", 1],
  ["deleteDocument", 1],
  ["beatServer", 1],
  ["listServers", 1],
  ["leaveServer", 1],
] as const;

export class Operations {
  readonly #chance: Chance;
  readonly #known: Knowledge;
  readonly #space: Space;
  readonly #names: readonly (typeof weights)[number][0][];
  /** Apart from the other, so that the requests of lists move nothing else. */
  readonly #listChance = new Chance(1);
  #now = 1_760_000_000_000;
  #named = 0;

  constructor(chance: Chance, known: Knowledge, space: Space) {
    this.#chance = chance;
    this.#known = known;
    this.#space = space;
    this.#names = weights
      .filter(([name]) => this.#has(name))
      .flatMap(([name, weight]) => Array<typeof name>(weight).fill(name));
  }

  #has(name: Name): boolean {
    return this.#space.facets?.includes(facetOf[name]) ?? true;
  }

  get now(): number {
    return this.#now;
  }

  next(): Operation {
    const chance = this.#chance;
    if (chance.percent(60)) this.#now += chance.below(chance.percent(5) ? 3_000 : 40);
    const name = chance.pick(this.#names);
    const request = this.#make[name]() as never;
    const isIndexing = name === "list" && this.#listChance.percent(20);
    return isIndexing ? { name: "indexExecutions", request } : { name, request };
  }

  /** Reads of everything: what differs now and was not noticed yet. */
  all(): Operation[] {
    const operations: { name: Name; request: unknown }[] = [];
    for (const id of executionIds) {
      const key = executionKey(id, this.#space.partitions);
      operations.push({ name: "load", request: { key } }, { name: "holdings", request: key });
      operations.push({ name: "history", request: { key, after: 0, limit: 5_000 } });
    }
    for (let partition = 0; partition < this.#space.partitions; partition++) {
      operations.push({ name: "list", request: { partition, limit: 100 } });
      operations.push({ name: "queueStats", request: { partition } });
      operations.push({ name: "queueHints", request: { partition } });
    }
    return operations.filter(({ name }) => this.#has(name)) as Operation[];
  }

  readonly #make = {
    create: () => this.#create(),
    load: () => {
      const fields = this.#chance.some(2, () => this.#chance.pick(fieldNames));
      const key = this.#key();
      return this.#chance.percent(50) ? { key } : { key, fields };
    },
    commit: () => this.#commit(),
    claimTasks: () => this.#claimTasks(),
    claimTask: () => {
      // Of what was never leased, too.
      const any = { key: this.#key(), taskId: this.#chance.pick(taskIds) };
      const { key, taskId } = this.#chance.percent(50) ? any : this.#lease();
      return { key, taskId, tokenPrefix: this.#claimId(key.partition), ...this.#worker() };
    },
    readTask: () => {
      const { key, taskId } = this.#lease();
      return { key, taskId };
    },
    extendLeases: () => {
      const lateMs = this.#chance.pick([0, 500, 1_000]);
      return { ...this.#leases("leases"), now: this.#now, ...(lateMs > 0 && { lateMs }) };
    },
    releaseTasks: () => ({ ...this.#leases("tasks"), now: this.#now }),
    claimDue: () => this.#claimDue(),
    listTimers: () => {
      const after = { key: this.#key(), id: this.#chance.pick(timerIds), due: this.#now };
      const request = { partition: this.#partition(), limit: 1 + this.#chance.below(4) };
      return this.#chance.percent(50) ? request : { ...request, after };
    },
    claimOutbox: () => this.#claimDue(),
    ackOutbox: () => {
      const partition = this.#partition();
      const messages = this.#chance
        .some(4, () => this.#pickKnown(this.#known.messages.items, () => this.#message()))
        .filter(({ key }) => key.partition === partition);
      return { partition, messages };
    },
    remove: () => {
      const key = this.#key();
      const tombstoneUntil = this.#now + 200 + this.#chance.below(500);
      const keepStart = this.#chance.percent(50);
      return { key, expected: this.#head(key), tombstoneUntil, keepStart, now: this.#now };
    },
    holdings: () => this.#key(),
    list: () => this.#list(),
    history: () => ({ key: this.#key(), after: this.#chance.below(5), limit: 1_000 }),
    queueStats: () => {
      const partition = this.#partition();
      return this.#chance.percent(50)
        ? { partition }
        : { partition, queue: this.#chance.pick(queues) };
    },
    queueHints: () => ({ partition: this.#partition() }),
    putDocument: () => {
      const expectedVersion = this.#chance.below(3);
      return { ...this.#document(), body: this.#text(), expectedVersion };
    },
    getDocument: () => this.#document(),
    listDocuments: () => {
      const { kind, id } = this.#document();
      return this.#chance.percent(50) ? { kind, limit: 2 } : { kind, after: id, limit: 2 };
    },
    deleteDocument: () => this.#document(),
    beatServer: () => {
      const id = this.#chance.pick(["s1", "s2"]);
      return { id, body: this.#text(), now: this.#now, ttlMs: 50 };
    },
    listServers: () => ({ now: this.#now }),
    leaveServer: () => ({ id: this.#chance.pick(["s1", "s2"]) }),
  };

  #name(): string {
    return `n${++this.#named}`;
  }

  #text(): string {
    return this.#chance.pick(texts);
  }

  #partition(): number {
    return this.#chance.below(this.#space.partitions);
  }

  #key(): ExecutionKey {
    return executionKey(this.#chance.pick(executionIds), this.#space.partitions);
  }

  #limit(): number {
    return this.#space.smallLimits && this.#chance.percent(40) ? this.#chance.below(3) : 100;
  }

  #document() {
    return { kind: "k", id: this.#chance.pick(["a", "b", "ü"]) };
  }

  #worker() {
    const workerId = this.#chance.pick(["w1", "w2"]);
    return { workerId, heartbeatMs: this.#chance.pick([0, 50, 200]), now: this.#now };
  }

  #message() {
    return { key: this.#key(), id: this.#chance.pick(messageIds) };
  }

  /** Mostly something that was seen, sometimes something made up. */
  #pickKnown<Item>(items: readonly Item[], make: () => Item): Item {
    return items.length > 0 && this.#chance.percent(85) ? this.#chance.pick(items) : make();
  }

  #head(key: ExecutionKey): contract.Head {
    const head = this.#known.heads.get(key.id);
    if (head !== undefined && this.#chance.percent(88)) return head;
    return this.#pickKnown(this.#known.oldHeads.items, () => ({ revision: 1, commitId: "none" }));
  }

  #claimId(partition: number): string {
    const mine = this.#known.claims.items.filter((claim) => claim.partition === partition);
    if (mine.length > 0 && this.#chance.percent(25)) return this.#chance.pick(mine).id;
    const id = this.#name();
    this.#known.claims.add({ partition, id });
    return id;
  }

  #lease(): Lease {
    return this.#pickKnown(this.#known.leases.items, () => {
      const taskId = this.#chance.pick(taskIds);
      const token = formatToken("nobody", taskId);
      return { key: this.#key(), taskId, token, until: this.#now };
    });
  }

  #leases<Name extends "leases" | "tasks">(name: Name) {
    const first = this.#lease();
    const { partition } = first.key;
    const leases = [first, ...this.#chance.some(3, () => this.#lease())]
      .filter(({ key }) => key.partition === partition)
      .map((lease) => ({ ...lease, until: this.#now + this.#chance.below(400) }));
    return { partition, [name]: leases };
  }

  #create(): contract.CreateRequest {
    const repeated = this.#known.creates.items;
    if (repeated.length > 0 && this.#chance.percent(20)) {
      return { ...this.#chance.pick(repeated), now: this.#now };
    }
    const key = this.#key();
    const workflow = this.#chance.pick(["x", "y"]);
    const status = this.#chance.pick(statuses);
    const listing = { id: key.id, workflow, version: 1, status, startedAt: this.#now };
    const correlated = {
      ...listing,
      correlationId: this.#chance.pick(["k1", "k2"]),
      ...(this.#listChance.percent(50) && { parent: this.#listChance.pick(["e1", "e2"]) }),
    };
    const request: contract.CreateRequest = {
      key,
      commitId: this.#name(),
      state: this.#text(),
      now: this.#now,
      listing: this.#chance.percent(50) ? listing : correlated,
      data: new Map(this.#chance.some(2, () => [this.#chance.pick(fieldNames), this.#text()])),
      effects: this.#effects(key),
    };
    const made = this.#chance.percent(50) ? request : { ...request, requestHash: this.#name() };
    this.#known.creates.add(made);
    return made;
  }

  #commit(): contract.CommitRequest {
    const repeated = this.#known.commits.items;
    if (repeated.length > 0 && this.#chance.percent(7)) return this.#chance.pick(repeated);
    const key = this.#key();
    const status = this.#chance.pick(statuses);
    const data = this.#chance.some(3, (): [string, string | null] => [
      this.#chance.pick(fieldNames),
      this.#chance.percent(70) ? this.#text() : null,
    ]);
    const request: contract.CommitRequest = {
      key,
      expected: this.#head(key),
      commitId: this.#name(),
      state: this.#text(),
      status,
      ...(this.#chance.percent(30) && { endedAt: this.#now }),
      ...(this.#chance.percent(25) && { hold: this.#chance.percent(50) }),
      data: new Map(data),
      ...this.#ends(key),
      effects: this.#effects(key),
      now: this.#now,
    };
    this.#known.commits.add(request);
    return request;
  }

  /** Mostly what is there for this execution: too many wrong ones and nothing is ever committed. */
  #ends(key: ExecutionKey): Pick<contract.CommitRequest, "settle" | "expire" | "consumeTimers"> {
    const leases = this.#known.leases.items.filter((lease) => lease.key.id === key.id);
    const due = this.#known.due.items.filter(({ item }) => item.key.id === key.id);
    const settle: { taskId: string; token: string | null }[] = [];
    const expire: { taskId: string; token: string | null; until: number }[] = [];
    const consumeTimers: { id: string; claimId: string }[] = [];
    const lease = leases.at(-1);
    if (lease !== undefined && this.#chance.percent(30)) settle.push(lease);
    else if (this.#chance.percent(8)) {
      settle.push({ taskId: this.#chance.pick(taskIds), token: null });
    }
    for (const { claimId, item } of due.slice(-2)) {
      if (!this.#chance.percent(50)) continue;
      if (item.kind === "timer") consumeTimers.push({ id: item.id, claimId });
      else if (item.kind === "lease") expire.push({ ...item, until: item.leaseUntil });
      else expire.push({ ...item, token: null, until: item.queueUntil });
    }
    return { settle, expire, consumeTimers };
  }

  #effects(key: ExecutionKey): contract.StoreEffects {
    const chance = this.#chance;
    const leased = this.#known.leases.items
      .filter((lease) => lease.key.id === key.id)
      .map((lease) => lease.taskId);
    const history = chance.percent(3) ? Array(600).fill("1") : chance.some(2, () => this.#text());
    return {
      tasks: chance.some(3, () => this.#task(key)),
      dropTasks: chance.some(2, () => this.#pickKnown(leased, () => chance.pick(taskIds))),
      timers: chance.some(2, () => ({
        id: chance.pick(timerIds),
        at: this.#now + chance.below(300),
      })),
      dropTimers: chance.some(1, () => chance.pick(timerIds)),
      messages: chance.some(2, () => ({ id: chance.pick(messageIds), body: this.#text() })),
      history,
    };
  }

  #task(key: ExecutionKey): contract.StoreEffects["tasks"][number] {
    const chance = this.#chance;
    const id = chance.pick(taskIds);
    const task = {
      id,
      queue: chance.pick(queues),
      priority: chance.pick([0, 0, 0, 5, -5]),
      timeoutMs: chance.pick([100, 400]),
      heartbeatMs: chance.pick([0, 0, 60]),
      queueTimeoutMs: chance.pick([0, 100, 300]),
      header: this.#text(),
      parameters: this.#text(),
    };
    if (chance.percent(70)) return task;
    const token = formatToken(this.#name(), id);
    const leaseUntil = this.#now + chance.below(200);
    this.#known.leases.add({ key, taskId: id, token, until: leaseUntil });
    return { ...task, lease: { token, workerId: "w3", leaseUntil, deadline: this.#now + 300 } };
  }

  #claimTasks(): contract.ClaimTasksRequest {
    const chance = this.#chance;
    const partition = this.#partition();
    const asked = queues.filter(() => chance.percent(70));
    const isRough = this.#space.claimOrder === "roughly";
    const limitOf = (limits: readonly number[]) => (isRough ? 100 : chance.pick(limits));
    return {
      partition,
      tokenPrefix: this.#claimId(partition),
      ...this.#worker(),
      queues: asked.map((name) => ({ name, limit: limitOf([1, 2, 100]) })),
      limit: limitOf([0, 1, 3, 100]),
    };
  }

  #claimDue(): contract.ClaimDueRequest {
    const partition = this.#partition();
    const claimId = this.#claimId(partition);
    return { partition, claimId, limit: this.#limit(), hideMs: 50, now: this.#now };
  }

  /** All are looked at: how far a store comes otherwise depends on the index that it takes. */
  #list(): contract.ListRequest {
    const chance = this.#chance;
    const first = chance.pick(["all", "workflow", "status", "correlationId", "parent"]);
    const request = { partition: this.#partition(), limit: chance.pick([1, 100]), lookMax: 100 };
    const isGiven = (name: string) => name === first || this.#listChance.percent(40);
    const filtered = {
      ...request,
      ...(isGiven("workflow") && { workflow: "x" }),
      ...(isGiven("status") && { status: this.#listChance.pick(statuses) }),
      ...(isGiven("correlationId") && { correlationId: "k1" }),
      ...(isGiven("parent") && { parent: "e1" }),
      ...(isGiven("startedAfter") && { startedAfter: this.#now - this.#listChance.below(100) }),
    };
    if (chance.percent(60)) return filtered;
    return { ...filtered, after: { startedAt: this.#now - chance.below(100), id: "e2" } };
  }
}
