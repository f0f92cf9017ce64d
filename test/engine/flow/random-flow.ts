/**
 * Random graphs for the rules of flow: tasks and switches that end as is given, with handlers, joins
 * and routes of all sorts. Actions are written in the order of the plan; edges lead to later ones.
 */
import type {
  ActionId,
  ActionSpec,
  JoinRule,
  WorkflowDefinition,
} from "../../../src/model/definition.ts";
import type { Chance } from "../../support/chance.ts";
import type { Outcome } from "./naive.ts";

/** A workflow, and what becomes of its actions; those that are missing complete. */
export interface Flow {
  readonly definition: WorkflowDefinition;
  readonly outcomes: ReadonlyMap<ActionId, Outcome>;
}

const codes = ["A", "B"] as const;

/** `ordered`: only joins whose outcome must not depend on the order in which actions end. */
export function randomFlow(chance: Chance, options: { readonly ordered: boolean }): Flow {
  const count = 2 + chance.below(11);
  const ids = Array.from({ length: count }, (_, place): ActionId => `a${place}`);
  const targets = ids.map(() => new Set<ActionId>());
  const specs = ids.map((id, place) => randomAction(chance, id, ids.slice(place + 1)));
  for (const [place, { next, onError }] of specs.entries()) {
    for (const id of [next, onError].flatMap((routes) => Object.values(routes ?? {}).flat())) {
      targets[place]!.add(id);
    }
  }
  const incoming = (id: ActionId) => targets.filter((set) => set.has(id)).length;
  const actions = specs.map((spec): ActionSpec => {
    const join = incoming(spec.id) === 0 ? "all" : randomJoin(chance, incoming(spec.id), options);
    return join === "all" ? spec : { ...spec, join };
  });
  const roots = ids.filter((id) => incoming(id) === 0);
  const outcomes = new Map(actions.map((spec) => [spec.id, randomOutcome(chance, spec)]));
  return { definition: { name: "flow", rootAction: roots, actions }, outcomes };
}

function randomAction(chance: Chance, id: ActionId, later: readonly ActionId[]): ActionSpec {
  const isSwitch = chance.percent(25);
  const next: Record<string, ActionId[]> = {};
  const onError: Record<string, ActionId[]> = {};
  const some = () => {
    const near = later.slice(0, 4);
    const from = near.length > 0 && chance.percent(60) ? near : later;
    return from.length === 0 ? [] : [...new Set([chance.pick(from), chance.pick(from)])];
  };
  for (const route of isSwitch ? ["default", "x", "y"] : ["default"]) {
    if (chance.percent(80)) next[route] = some();
  }
  const isHandled = chance.percent(85);
  for (const code of isHandled ? ["default", ...codes, "JOIN_NOT_MET"] : []) {
    if (chance.percent(code === "default" ? 90 : 20)) onError[code] = some();
  }
  return {
    id,
    ...(isSwitch ? switchOf(id) : { type: "user", name: "work", retry: { retryCount: 0 } }),
    ...(Object.keys(next).length > 0 && { next }),
    ...(Object.keys(onError).length > 0 && { onError }),
    ...(chance.percent(15) && { optional: true }),
  };
}

const switchOf = (id: ActionId) =>
  ({ type: "system", name: "switch", expression: `$.input.${id}` }) as const;

function randomJoin(
  chance: Chance,
  incoming: number,
  { ordered }: { readonly ordered: boolean },
): JoinRule {
  const kinds: readonly JoinRule[] = ["all", "all", "all", "succeeded", "settled"];
  if (ordered || chance.percent(50)) return chance.pick(kinds);
  const count = chance.percent(40) ? ("any" as const) : 1 + chance.below(incoming);
  return chance.percent(40) ? { count, cancelRest: true } : count;
}

function randomOutcome(chance: Chance, { name, next = {} }: ActionSpec): Outcome {
  if (name === "switch") {
    const route = chance.pick(["default", "x", "y"]);
    return route in next ? { route } : "default" in next ? { route: "default" } : noRoute;
  }
  return chance.percent(35) ? { code: chance.pick(codes) } : { route: "default" };
}

const noRoute = { code: "NO_MATCHING_ROUTE" } as const;
