/** The largest graphs: what one decision costs in steps along edges, and in what it writes. */
import { describe, expect, test } from "bun:test";
import { begin, decide } from "../../../src/engine/decide.ts";
import { afterDecision } from "../../../src/engine/stored/codec.ts";
import { compilePlan, type Plan } from "../../../src/language/plan.ts";
import type { Decision, NewTask } from "../../../src/model/decision.ts";
import type { ActionSpec } from "../../../src/model/definition.ts";
import type { ExecutionEvent } from "../../../src/model/event.ts";
import type { Execution } from "../../../src/model/execution.ts";
import { currentFormat } from "../../../src/model/format.ts";
import { formatToken, tokenPrefix } from "../../../src/model/ids.ts";
import { World } from "../../support/world.ts";

const user = (id: string, rest: Partial<ActionSpec> = {}): ActionSpec => ({
  id,
  type: "user",
  name: "work",
  retry: { retryCount: 0 },
  ...rest,
});
const row = (letter: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${letter}${index}`);

/** An engine alone, which counts the edges that it looks at. */
class Counted {
  readonly plan: Plan;
  edges = 0;
  /** Of the largest decision of those that the last end has led to. */
  steps = 0;
  readonly tasks: NewTask[] = [];
  #execution: Execution;

  constructor(actions: readonly ActionSpec[], roots: readonly string[]) {
    this.plan = compilePlan({ name: "large", rootAction: roots, actions }, 1);
    for (const action of this.plan.actions) {
      this.edges += action.targets.length;
      const count = () => {
        this.steps += 1;
      };
      const counted = { targets: eachCounted(action.targets, count) };
      Object.assign(action, counted, { nextTargets: setCounted(action.nextTargets, count) });
    }
    const id = "018f0000-0000-7000-8000-000000000001";
    const decision = begin({ ...this.#surroundings, id, input: "{}", seed: 1 }) as Decision;
    this.#execution = { state: decision.state, records: [], data: new Map() };
    for (let more = this.#apply(decision); more; ) more = this.#decide({ type: "continue" }).more;
  }

  get records() {
    return this.#execution.records;
  }

  finish(key: string, isGood: boolean): Decision {
    const task = this.tasks.find(({ id }) => id.endsWith(`:${key}`))!;
    const token = formatToken(tokenPrefix(this.#surroundings.now, "nonce"), task.id);
    const failure = { code: "BROKEN", message: "no" };
    const outcome = isGood
      ? { ok: true as const, output: "{}" }
      : { ok: false as const, failure, retryable: false };
    const first = this.#count({ type: "result", taskId: task.id, token, outcome });
    let most = this.steps;
    // What the rows of a commit leave to the next.
    for (let { more } = first; more; ) {
      more = this.#count({ type: "continue" }).more;
      most = Math.max(most, this.steps);
    }
    this.steps = most;
    return first;
  }

  #count(event: ExecutionEvent): Decision {
    this.steps = 0;
    return this.#decide(event);
  }

  get #surroundings() {
    const now = 1_700_000_000_000;
    return { plan: this.plan, now, format: currentFormat, registered: () => undefined };
  }

  #decide(event: ExecutionEvent): Decision {
    const decision = decide(this.#execution, [event], this.#surroundings) as Decision;
    this.#apply(decision);
    return decision;
  }

  #apply(decision: Decision): boolean {
    this.tasks.push(...decision.effects.tasks);
    this.#execution = afterDecision(this.#execution, decision);
    return decision.more;
  }
}

function* counting<Item>(items: Iterable<Item>, count: () => void): Iterator<Item> {
  for (const item of items) {
    count();
    yield item;
  }
}

function eachCounted(items: readonly number[], count: () => void): readonly number[] {
  const counted = [...items];
  counted[Symbol.iterator] = () => counting(items, count) as ArrayIterator<number>;
  return counted;
}

function setCounted(items: ReadonlySet<number>, count: () => void): ReadonlySet<number> {
  const counted = new Set(items);
  counted[Symbol.iterator] = () => counting(items, count) as SetIterator<number>;
  counted.has = (item) => {
    count();
    return items.has(item);
  };
  return counted;
}

describe("one decision is linear in the edges", () => {
  test("hundreds are skipped at once, because of hundreds of failures", () => {
    const [middle, end] = [row("g", 500), row("h", 18)];
    const failing = row("f", 430).map((id, at) => {
      const next = Array.from({ length: 20 }, (_, step) => middle[(at * 20 + step) % 500]!);
      return user(id, { next: { default: next }, onError: { default: [] } });
    });
    const actions = [
      ...failing,
      user("last", { next: { default: middle } }),
      ...middle.map((id) => user(id, { next: { default: end } })),
      ...end.map((id) => user(id)),
    ];
    const engine = new Counted(actions, [...failing.map(({ id }) => String(id)), "last"]);
    expect(engine.edges).toBe(18_100);
    for (const { id } of failing) engine.finish(String(id), false);
    const { data } = engine.finish("last", true);
    expect(engine.steps).toBeLessThan(3 * engine.edges);
    const skipped = engine.records.filter((record) => record?.status === "SKIPPED");
    expect([skipped.length, skipped.at(-1)?.causes?.length]).toEqual([518, 14]);
    const written = [...data.values()].reduce((sum, text) => sum + (text?.length ?? 0), 0);
    expect(written).toBeLessThan(skipped.length * 352);
  });

  test("each of many ends asks anew what was recovered", () => {
    const [middle, end, ends, joins] = [row("g", 300), row("h", 10), row("t", 40), row("j", 40)];
    const failing = row("f", 300).map((id, at) => {
      const next = Array.from({ length: 10 }, (_, step) => middle[(at * 10 + step) % 300]!);
      return user(id, { next: { default: next }, onError: { default: at === 0 ? "k" : [] } });
    });
    const actions = [
      ...failing,
      user("last", { next: { default: ends } }),
      ...ends.map((id, at): ActionSpec => {
        const next = { default: joins[at]! };
        return { id, type: "system", name: "transform", next };
      }),
      ...middle.map((id) => user(id, { next: { default: [...end, ...joins] } })),
      ...end.map((id) => user(id)),
      user("k"),
      ...joins.map((id) => user(id)),
    ];
    const engine = new Counted(actions, [...failing.map(({ id }) => String(id)), "last"]);
    expect(engine.edges).toBeGreaterThan(18_000);
    for (const { id } of failing) engine.finish(String(id), false);
    engine.finish("last", true);
    expect(engine.steps).toBeLessThan(3 * engine.edges);
    expect(engine.records.filter((record) => record?.status === "SKIPPED")).toHaveLength(350);
  });
});

describe("a race with more losers than a commit closes", () => {
  const losers = row("l", 130);
  const actions = [
    user("fast", { next: { default: "j" } }),
    ...losers.map((id, at): ActionSpec => {
      const next = { default: "j" };
      if (at % 2 === 0) return user(id, { next });
      return { id, type: "system", name: "wait", event: "never", timeoutSeconds: 60, next };
    }),
    user("j", { join: { count: "any", cancelRest: true } }),
  ];
  const race = { name: "race", rootAction: ["fast", ...losers], actions };

  test("drops what all of them own, and lets tasks go again", () => {
    const world = new World(race);
    const task = world.task("l0");
    world.complete("fast");
    expect([...world.tasks.keys()].map((id) => id.split(":").at(-1))).toEqual(["j"]);
    expect([world.held, world.timers.size]).toEqual([false, 0]);
    expect(losers.map((id) => world.statusOf(id))).toEqual(losers.map(() => "CANCELLED"));
    const token = world.tokenOf(task);
    const outcome = { ok: true as const, output: "{}" };
    const [answer] = world.send({ type: "result", taskId: task.id, token, outcome });
    expect(answer?.type).toBe("stale");
    world.complete("j");
    expect(world.status).toBe("COMPLETED");
  });

  test("items of a map and children among them end as well", () => {
    const next = { default: "j" };
    const system = { type: "system", next } as const;
    const world = new World(
      {
        name: "race",
        rootAction: ["fast", "all", "child"],
        actions: [
          user("fast", { next }),
          { id: "all", ...system, name: "map", items: "$.input.list", action: "work" },
          { id: "child", ...system, name: "workflow", workflow: "other" },
          user("j", { join: { count: "any", cancelRest: true } }),
        ],
      },
      {
        input: { list: Array.from({ length: 120 }, (_, item) => ({ item })) },
        versions: { other: 1 },
      },
    );
    world.complete("fast");
    expect([...world.tasks.keys()].map((id) => id.split(":").at(-1))).toEqual(["j"]);
    expect([world.held, world.timers.size]).toEqual([false, 0]);
    const types = world.messages.map((body) => JSON.parse(body).type);
    expect(types).toEqual(["start-child", "cancel-child"]);
    world.complete("j");
    expect(world.status).toBe("COMPLETED");
  });

  test("in a pause they end too, and what follows is held", () => {
    const world = new World(race);
    world.send({ type: "operation", operation: "pause" });
    world.complete("fast");
    expect([world.held, world.tasks.size, world.timers.size]).toEqual([true, 0, 0]);
    world.send({ type: "operation", operation: "resume" });
    expect([world.held, world.statusOf("j")]).toEqual([false, "SCHEDULED"]);
  });

  test("a timer of a loser that comes due before it is dropped does nothing", () => {
    const world = new World(race);
    const [timer] = world.record("l129")!.timers!;
    const { id: taskId } = world.task("fast");
    const token = world.tokenOf(world.task("fast"));
    world.send(
      { type: "result", taskId, token, outcome: { ok: true, output: "{}" } },
      { type: "timer", id: timer!, claimId: "claim" },
    );
    expect([world.statusOf("l129"), world.output("l129")]).toEqual(["CANCELLED", undefined]);
    expect(world.history.filter(({ kind }) => kind === "action.cancelled")).toHaveLength(130);
  });
});
