/** Runs the same flow through the engine and through the naive rules, and compares all that they say. */
import { expect, test } from "bun:test";
import { indexesIn } from "../../../src/engine/decision/index-set.ts";
import type { Fork } from "../../../src/engine/fork.ts";
import type { ActionId, ActionSpec } from "../../../src/model/definition.ts";
import type { ExecutionEvent } from "../../../src/model/event.ts";
import { Chance } from "../../support/chance.ts";
import { World } from "../../support/world.ts";
import { Naive } from "./naive.ts";
import { type Flow, randomFlow } from "./random-flow.ts";

/** All that a flow leads to; comparable with `toEqual`. */
export interface FlowEnd {
  readonly status: string;
  readonly failed: { readonly action: string; readonly code: string } | undefined;
  readonly statuses: Readonly<Record<string, string>>;
  readonly skipped: Readonly<Record<string, readonly string[] | "lost race">>;
  /** What `$.execution.error` named in the tasks that were offered. */
  readonly errors: Readonly<Record<string, string | null>>;
}

/** Which of the open actions end next, together in one decision. */
type Pick = (open: readonly ActionId[]) => readonly ActionId[];

/** A world in which the flow has begun. */
export function beginFlow({ definition, outcomes }: Flow, fork?: Fork): World {
  const input: Record<string, string> = {};
  for (const [id, outcome] of outcomes) input[id] = "route" in outcome ? outcome.route : "nowhere";
  const parameters = { handles: "$.execution.error.action" };
  const actions = definition.actions.map((spec) =>
    spec.type === "user" ? { ...spec, parameters } : spec,
  );
  return new World({ ...definition, actions }, { input, ...(fork && { fork }) });
}

export function runEngine(flow: Flow, pick: Pick): FlowEnd {
  const { outcomes } = flow;
  const world = beginFlow(flow);
  const errors: Record<string, string | null> = {};
  while (world.status === "RUNNING") {
    const open = [...world.tasks.values()].map(({ id, parameters }) => {
      const key = id.slice(id.lastIndexOf(":") + 1);
      errors[key] = JSON.parse(parameters).handles;
      return key;
    });
    if (open.length === 0) throw new Error("it is RUNNING and nothing is open");
    const results = pick(open).map((id): ExecutionEvent => {
      const task = world.task(String(id));
      const outcome = outcomes.get(id);
      const isGood = outcome === undefined || "route" in outcome;
      const failure = isGood ? undefined : { code: outcome.code, message: "it broke" };
      return {
        type: "result",
        taskId: task.id,
        token: world.tokenOf(task),
        outcome: failure ? { ok: false, failure, retryable: true } : { ok: true, output: "{}" },
      };
    });
    world.send(...results);
  }
  return { ...endOf(world), errors };
}

export function endOf({ plan, execution }: World): Omit<FlowEnd, "errors"> {
  const { state, records } = execution;
  const statuses: Record<string, string> = {};
  const skipped: Record<string, string[] | "lost race"> = {};
  for (const { index, key } of plan.actions) {
    const { status = "PENDING", skippedBy, causes = [] } = records[index] ?? {};
    statuses[key] = status;
    if (skippedBy === "lost-race") skipped[key] = "lost race";
    else if (skippedBy !== undefined) {
      skipped[key] = [...indexesIn(causes)].map((cause) => plan.actions[cause]!.key);
      expect(skippedBy).toBe(causes.length > 0 ? "failure" : "dead-path");
    }
  }
  const { failure } = state;
  const failed = failure && { action: failure.action!, code: failure.code };
  return { status: state.status, failed, statuses, skipped };
}

export function runNaive({ definition, outcomes }: Flow, pick: Pick): FlowEnd {
  const end = new Naive({
    definition,
    outcomeOf: (id) => outcomes.get(id) ?? { route: "default" },
    isImmediate: (id) => definition.actions.find((action) => action.id === id)?.name === "switch",
    pick,
  }).finish();
  const { failed } = end;
  return {
    status: end.status,
    failed: failed && { action: String(failed.action), code: failed.code },
    statuses: Object.fromEntries(end.statuses),
    skipped: Object.fromEntries(end.skipped) as FlowEnd["skipped"],
    errors: Object.fromEntries(end.errors) as FlowEnd["errors"],
  };
}

/** How many of each kind of thing were seen: a comparison of nothing would prove nothing. */
type Seen = Record<string, number>;

const mustSee = [
  ...["COMPLETED", "FAILED", "fails with JOIN_NOT_MET", "handled failure", "settled"],
  ...["dead path", "skipped by failure", "SKIPPED by a lost race", "CANCELLED by a lost race"],
  ...["starts recovered", "$.execution.error"],
];
const ordersOfEach = 4;

export function checkComparison(first: number, count: number): void {
  test("the engine and the naive rules agree, and the order changes nothing", () => {
    const seen = compareFlows(first, count);
    expect(mustSee.filter((one) => (seen[one] ?? 0) < count / 50)).toEqual([]);
  }, 300_000);
}

function compareFlows(first: number, count: number): Seen {
  const seen: Seen = {};
  for (let seed = first; seed < first + count; seed++) {
    const ordered = seed % 2 === 0;
    const flow = randomFlow(new Chance(seed), { ordered });
    const ends = Array.from({ length: ordersOfEach }, (_, order) => {
      const picks = (): Pick => {
        const chance = new Chance(seed * ordersOfEach + order);
        // In half of the orders several end at once.
        const most = order < ordersOfEach / 2 ? 1 : 4;
        return (open) => [
          ...new Set(Array.from({ length: 1 + chance.below(most) }, () => chance.pick(open))),
        ];
      };
      const engine = runEngine(flow, picks());
      const { errors, ...rest } = runNaive(flow, picks());
      const seenErrors = Object.entries(errors).filter(([id]) => id in engine.errors);
      const naive: FlowEnd = { ...rest, errors: Object.fromEntries(seenErrors) };
      if (!Bun.deepEquals(engine, naive)) {
        const of = { seed, order, definition: flow.definition, outcomes: [...flow.outcomes] };
        expect({ end: engine, of }).toEqual({ end: naive, of });
      }
      note(seen, engine, flow);
      checkHandlers(seed, engine, flow);
      return engine;
    });
    if (ordered) checkOrder(seed, ends);
  }
  return seen;
}

/** An unhandled failure ends it in any order; without one, the order changes nothing. */
function checkOrder(seed: number, ends: readonly FlowEnd[]): void {
  const [first] = ends;
  for (const end of ends) {
    expect({ seed, status: end.status }).toEqual({ seed, status: first!.status });
    if (end.status === "FAILED") continue;
    // Which failure came last may differ.
    expect({ seed, end: { ...end, errors: {} } }).toEqual({ seed, end: { ...first!, errors: {} } });
    const open = Object.values(end.statuses).filter((status) => status === "PENDING");
    expect({ seed, open }).toEqual({ seed, open: [] });
  }
}

/** What only handles failures runs for each of them, whatever fails beside it. */
function checkHandlers(seed: number, end: FlowEnd, { definition }: Flow): void {
  const { status, statuses, skipped } = end;
  if (status !== "COMPLETED") return;
  const { actions } = definition;
  for (const { id, join } of actions) {
    const leads = (routes: ActionSpec["next"]) =>
      Object.values(routes ?? {})
        .flat()
        .includes(id);
    const isNext = actions.some(({ next }) => leads(next));
    if (isNext || typeof join === "number" || typeof join === "object") continue;
    const handles = actions.some(({ id: failed, onError = {} }) => {
      const routes = Object.values(onError);
      const always = routes.length > 0 && routes.every((route) => [route].flat().includes(id));
      return always && statuses[failed] === "FAILED";
    });
    if (!handles || skipped[id] === "lost race") continue;
    expect({ seed, id, status: statuses[id] }).not.toMatchObject({ status: "SKIPPED" });
  }
}

function note(seen: Seen, end: FlowEnd, flow: Flow): void {
  const { status, failed, statuses, skipped, errors } = end;
  const add = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  add(status);
  if (failed?.code === "JOIN_NOT_MET") add("fails with JOIN_NOT_MET");
  const { actions } = flow.definition;
  for (const { id, join = "all", onError } of actions) {
    if (errors[id]) add("$.execution.error");
    const reason = skipped[id];
    if (reason === "lost race") add(`${statuses[id]} by a lost race`);
    else if (reason !== undefined) add(reason.length === 0 ? "dead path" : "skipped by failure");
    if (statuses[id] === "FAILED" && onError !== undefined) add("handled failure");
    if (statuses[id] === "COMPLETED" && join === "settled") add("settled");
    const isBehindFailure = actions.some(
      ({ id: source, next }) =>
        statuses[source] === "FAILED" &&
        Object.values(next ?? {})
          .flat()
          .includes(id),
    );
    const isTaken = (source: ActionSpec) =>
      Object.values(source.onError ?? {})
        .flat()
        .includes(id) && statuses[source.id] === "FAILED";
    if (join !== "all" || statuses[id] !== "COMPLETED" || !isBehindFailure) continue;
    if (!actions.some(isTaken)) add("starts recovered");
  }
}
