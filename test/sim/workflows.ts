/**
 * The workflows of one simulation: random ones, with times short enough for it. Half of them are
 * *tidy*: whatever the order in which things happen, they end alike, so their result is known.
 */
import fc from "fast-check";
import { defined } from "../../src/base/defined.ts";
import { limits } from "../../src/base/limits.ts";
import { checkDefinition } from "../../src/language/check/check.ts";
import type {
  ActionDefinition,
  ActionId,
  ActionSpec,
  WorkflowDefinition,
} from "../../src/model/definition.ts";
import type { Json } from "../../src/model/json.ts";
import type { Chance } from "../support/chance.ts";
import { workflowArbitrary } from "../support/random-workflow.ts";
import { outcomeOf } from "./outcomes.ts";

export const actionNames = ["work-0", "work-1", "work-2"] as const;
export const queues = ["default", "slow"] as const;
export const events = ["go", "stop", "never"] as const;

export interface SimulatedWorkflow {
  readonly definition: WorkflowDefinition;
  readonly isTidy: boolean;
}

/** What workers register. */
export const actionDefinitions: readonly ActionDefinition[] = [
  { name: "work-0", retryCount: 3, retryAfterSeconds: 0.5, timeoutSeconds: 30 },
  { name: "work-1", retryCount: 5, timeoutSeconds: 20, heartbeatSeconds: 6 },
  { name: "work-2", retryCount: 2, retryPolicy: "FIXED", timeoutSeconds: 40 },
];

/** What consumers of the broker do, and nobody else. */
export const deliveredDefinition: ActionDefinition = {
  name: "delivered",
  retryCount: 5,
  retryAfterSeconds: 0.5,
  timeoutSeconds: 12,
  deliver: { to: "sqs:simulated" },
};

/** One after the other, and side by side. */
export const delivered: WorkflowDefinition = {
  name: "delivered",
  rootAction: 1,
  actions: [1, 2, 3, 4, 5, 6].map((id) => ({
    id,
    type: "user" as const,
    name: deliveredDefinition.name,
    optional: true,
    ...(id === 1 && { next: { default: [2, 3, 4, 5] } }),
    ...(id > 1 && id < 6 && { next: { default: 6 } }),
  })),
};

/** Started by the end of others. */
const after: WorkflowDefinition = {
  name: "after",
  rootAction: 1,
  actions: [{ id: 1, type: "user", name: "work-0", parameters: { input: "$.input" } }],
};

export function makeWorkflows(chance: Chance, count: number): SimulatedWorkflow[] {
  const seed = chance.below(2 ** 31);
  const random = fc.sample(workflowArbitrary, { seed, numRuns: count });
  const made: SimulatedWorkflow[] = [{ definition: after, isTidy: true }];
  // More of them would take up most of the time.
  if (chance.percent(20)) made.push({ definition: wide(chance), isTidy: false });
  if (chance.percent(20)) made.push({ definition: long, isTidy: true });
  if (chance.percent(20)) made.push({ definition: deep, isTidy: true });
  if (chance.percent(40)) made.push({ definition: recovering, isTidy: true });
  if (chance.percent(50)) {
    made.push({ definition: kid, isTidy: true }, { definition: family(chance), isTidy: false });
  }
  for (const [index, wild] of random.entries()) {
    const isTidy = index % 2 === 0;
    const actions = wild.actions.map((action) => {
      const quick = quicken(employ(action, chance), chance);
      return isTidy ? tidy(quick, wild, chance) : quick;
    });
    const { timeoutSeconds: _, output, ...rest } = wild;
    const definition: WorkflowDefinition = {
      ...rest,
      name: `flow-${index}`,
      actions,
      ...(output !== undefined && !isTidy && { output }),
      ...(!isTidy && chance.percent(20) && { timeoutSeconds: 20 + chance.below(40) }),
    };
    const options = { lenient: false, knownActions: new Set(actionNames) };
    const checked = checkDefinition(definition, options);
    if (checked.definition === undefined || checked.problems.length > 0) continue;
    made.push({ definition: checked.definition, isTidy });
  }
  return made;
}

/** Its tasks fit no Struct: without a worker that takes JSON they fail. */
export const deep: WorkflowDefinition = {
  name: "deep",
  rootAction: 1,
  actions: [{ id: 1, type: "user", name: "work-0", parameters: nested(limits.structDepthMax + 1) }],
};

function nested(levels: number): Json {
  return levels === 1 ? {} : { a: nested(levels - 1) };
}

/** A fallback, a chain that shares a handler, and what is undone; two of its actions fail. Then scripts. */
const recovering = ((): WorkflowDefinition => {
  const name = "recovering";
  // What becomes of a task follows from its name.
  const find = (word: string, isGood: boolean): ActionId => {
    const ends = (id: string) => outcomeOf({ workflow: name, actionKey: id, attempt: 1 }, "").ok;
    for (let turn = 0; ; turn++) if (ends(`${word}-${turn}`) === isGood) return `${word}-${turn}`;
  };
  const task = (id: ActionId, rest: Partial<ActionSpec>): ActionSpec => ({
    id,
    type: "user",
    name: "work-0",
    retry: { retryCount: 0 },
    ...rest,
  });
  const to = (target: ActionId) => ({ default: target });
  const [card, paypal, ship] = [find("card", false), find("paypal", true), find("ship", true)];
  const [flight, hotel, car] = [find("flight", true), find("hotel", false), find("car", true)];
  const [undo, tell, end] = [find("undo", true), find("tell", true), find("end", true)];
  const delay = { type: "system", name: "delay", delaySeconds: 2 } as const;
  // More at once than a server evaluates.
  const scripts = ["one", "two", "three", "four"].map(
    (id): ActionSpec => ({
      id,
      type: "system",
      name: "javascript",
      expression: "$.seen = $.input",
    }),
  );
  return {
    name,
    rootAction: [card, flight],
    actions: [
      task(card, { next: to(ship), onError: to(paypal) }),
      task(paypal, { next: to(ship) }),
      task(ship, { next: to(end) }),
      task(flight, { next: to(hotel), onError: to(tell) }),
      task(hotel, { next: to(car), onError: { default: [undo, tell] } }),
      task(car, { next: to("done"), onError: to(tell) }),
      { id: undo, ...delay, next: to("done") },
      task(tell, { next: to(end) }),
      { id: "done", ...delay, join: "succeeded", next: to(end) },
      task(end, { next: { default: scripts.map(({ id }) => id) } }),
      ...scripts,
    ],
  };
})();

/** More actions in a row than one commit decides, and more than one chunk of records holds. */
const long: WorkflowDefinition = {
  name: "long",
  rootAction: 0,
  actions: Array.from({ length: 70 }, (_, id) => ({
    id,
    ...(id % 35 === 34
      ? { type: "user" as const, name: "work-1" }
      : { type: "system" as const, name: "transform", parameters: { value: id } }),
    ...(id < 69 && { next: { default: id + 1 } }),
  })),
};

/** Run by `family`, and by itself. */
const kid: WorkflowDefinition = {
  name: "kid",
  rootAction: 1,
  actions: [
    { id: 1, type: "user", name: "work-0", parameters: { n: "$.input" }, next: { default: 2 } },
    { id: 2, type: "system", name: "delay", delaySeconds: 1 },
  ],
};

/** Children of each kind, some of which it may not wait for. */
function family(chance: Chance): WorkflowDefinition {
  const child = (id: string, rest: object): ActionSpec =>
    ({ id, type: "system", name: "workflow", workflow: "kid", optional: true, ...rest }) as never;
  const { rootAction, actions } = kid;
  const inline = { workflow: undefined, definition: { rootAction, actions } };
  const retry = { retryCount: 2, retryAfterSeconds: 0.5 };
  const loop = { name: "loop", while: "$.iteration < 3", maxIterations: 3 };
  const members = [
    child("one", { parameters: "$.input", retry, next: { default: "after" } }),
    child("within", { ...inline, next: { default: "after" } }),
    child("again", { ...loop, parameters: "$.last", delaySeconds: chance.below(2) }),
    child("apart", { detach: true }),
  ];
  const timeoutSeconds = 4 + chance.below(40);
  return {
    name: "family",
    rootAction: members.map(({ id }) => id),
    actions: [...members, child("after", { join: "settled" })],
    ...(chance.percent(50) && { timeoutSeconds }),
  };
}

/** More actions side by side than one commit starts, and than one commit closes. */
function wide(chance: Chance): WorkflowDefinition {
  const branches = Array.from({ length: 66 }, (_, place): ActionSpec => {
    const action = { id: place + 1, next: { default: 99 } };
    const shape = chance.below(12);
    if (shape === 0) return { ...action, type: "user", name: "work-2", optional: true };
    if (shape < 8) return { ...action, type: "system", name: "delay", delaySeconds: shape };
    return { ...action, type: "system", name: "wait", event: "go", timeoutSeconds: 3 + shape };
  });
  const fork: ActionSpec = {
    id: 0,
    type: "user",
    name: "work-0",
    next: { default: branches.map(({ id }) => id) },
  };
  const join: ActionSpec = { id: 99, type: "user", name: "work-0", join: "settled" };
  const name = "wide";
  const timeoutSeconds = 8 + chance.below(20);
  return { name, rootAction: 0, actions: [fork, ...branches, join], timeoutSeconds };
}

/** More work for workers, and fewer dead ends, than chance alone makes. */
function employ(action: ActionSpec, chance: Chance): ActionSpec {
  if (action.name === "switch" && action.next?.default === undefined && chance.percent(70)) {
    return { ...action, next: { ...action.next, default: [] } };
  }
  const isEmployed = action.name === "transform" || (action.name === "delay" && !action.until);
  if (!isEmployed || chance.percent(40)) return action;
  const { delaySeconds: _, ...rest } = action;
  return { ...rest, type: "user", name: chance.pick(actionNames) };
}

/** The same action, with moments and timeouts that come within seconds. */
function quicken(action: ActionSpec, chance: Chance): ActionSpec {
  if (action.name === "delay") {
    const { until: _, delaySeconds, ...rest } = action;
    return { ...rest, delaySeconds: delaySeconds ?? chance.below(8) };
  }
  if (action.name === "wait" && chance.percent(60)) {
    return { ...action, timeoutSeconds: 1 + chance.below(15) };
  }
  if (action.name === "javascript") return { ...action, expression: script(action, chance) };
  if (action.type !== "user") return action;
  const { totalTimeoutSeconds, queueTimeoutSeconds, ...rest } = action;
  return {
    ...rest,
    ...(totalTimeoutSeconds !== undefined && { totalTimeoutSeconds: 5 + chance.below(40) }),
    ...(queueTimeoutSeconds !== undefined && { queueTimeoutSeconds: 2 + chance.below(20) }),
    ...(action.timeoutSeconds !== undefined && { timeoutSeconds: 5 + chance.below(20) }),
  };
}

function script(action: ActionSpec, chance: Chance): string {
  const routes = Object.keys(action.next ?? {});
  if (routes.length > 0 && chance.percent(40)) return `$.route = "${chance.pick(routes)}";`;
  if (chance.percent(10)) return "throw new Error('no');";
  return chance.pick(["$.seen = $.input;", "({ value: $.input.seconds + 1 })", "$.value = 7;"]);
}

/** Reads only what is there before it starts, and does not depend on what comes first. */
function tidy(action: ActionSpec, of: WorkflowDefinition, chance: Chance): ActionSpec {
  const { join, parameters: _, timeoutSeconds, event: __, ...rest } = action;
  const { totalTimeoutSeconds, queueTimeoutSeconds, heartbeatSeconds, strict, ...lasting } = rest;
  const kept = join === "settled" || join === "succeeded" ? { join } : {};
  const before = predecessors(of, action.id);
  const read = before.length === 0 ? "$.input" : `$.${chance.pick(before)}.output`;
  switch (action.name) {
    case "wait": {
      const { next, ...waiting } = lasting;
      const follow = Object.values(next ?? {})[0];
      const then = follow === undefined ? {} : { next: { default: follow } };
      return { ...waiting, ...kept, ...then, name: "delay", delaySeconds: 1 };
    }
    case "switch":
      return { ...lasting, ...kept, expression: `${read}.route` };
    case "delay":
      return { ...lasting, ...kept, delaySeconds: 1 + chance.below(3) };
    case "javascript":
      return { ...lasting, ...kept };
    case "map":
      // What faults do to one item is not kept: only the plain actions can be compared.
      return { ...plain(lasting), ...kept, type: "user", name: "work-0" };
    default:
      return { ...lasting, ...kept, parameters: { read: `${read}.value` } };
  }
}

function plain({ id, next, onError, optional }: ActionSpec): Pick<ActionSpec, "id"> {
  return { id, ...defined({ next, onError, optional }) };
}

function predecessors(definition: WorkflowDefinition, id: ActionId): ActionId[] {
  const leadsHere = ({ next, onError }: ActionSpec) =>
    [...Object.values(next ?? {}), ...Object.values(onError ?? {})].flat().includes(id);
  return definition.actions.filter(leadsHere).map((action) => action.id);
}
