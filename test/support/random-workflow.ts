/**
 * Random valid workflow definitions: DAGs of up to 12 actions of every kind that is built, with
 * all sorts of joins, error routes, optional actions and several roots. Edges lead from lower to
 * higher places, and whatever nothing leads to is a root, so every action can be reached.
 */
import fc from "fast-check";
import type {
  ActionId,
  ActionSpec,
  FollowUp,
  JoinRule,
  Routes,
  WorkflowDefinition,
} from "../../src/model/definition.ts";
import type { Json } from "../../src/model/json.ts";

export const randomKinds = [
  "user",
  "user",
  "switch",
  "transform",
  "delay",
  "wait",
  "javascript",
  "map",
] as const;
type Kind = (typeof randomKinds)[number];

/** Routes that an action of a kind may take. Events of waits are routes of theirs. */
const routesOf: Readonly<Record<Kind, readonly string[]>> = {
  user: ["default"],
  switch: ["a", "b", "200", "true", "default"],
  transform: ["default"],
  delay: ["default"],
  wait: ["go", "stop", "timeout", "default"],
  javascript: ["a", "b", "default"],
  map: ["default"],
};

const errorCodes = ["CARD_DECLINED", "TIMEOUT", "SCRIPT_ERROR", "default"] as const;

interface Edge {
  readonly to: number;
  readonly route: number;
  readonly onError: boolean;
}

/** What is random about one action; `shape` chooses among small variations. */
interface Gene {
  readonly kind: Kind;
  readonly wordId: boolean;
  readonly edges: readonly Edge[];
  readonly join: number;
  readonly optional: boolean;
  readonly strict: boolean;
  readonly shape: number;
  readonly reads: readonly number[];
}

const edge: fc.Arbitrary<Edge> = fc.record({
  to: fc.nat(11),
  route: fc.nat(9),
  onError: fc.boolean(),
});

const gene: fc.Arbitrary<Gene> = fc.record({
  kind: fc.constantFrom(...randomKinds),
  wordId: fc.boolean(),
  edges: fc.array(edge, { maxLength: 4 }),
  join: fc.nat(41),
  optional: fc.boolean(),
  strict: fc.boolean(),
  shape: fc.nat(7),
  reads: fc.array(fc.nat(11), { maxLength: 3 }),
});

interface Genome {
  readonly genes: readonly Gene[];
  /** Decides the order in which the actions are written. */
  readonly order: readonly number[];
  readonly shape: number;
}

export const workflowArbitrary: fc.Arbitrary<WorkflowDefinition> = fc
  .record({
    genes: fc.array(gene, { minLength: 1, maxLength: 12 }),
    order: fc.array(fc.nat(1_000), { minLength: 12, maxLength: 12 }),
    shape: fc.nat(31),
  })
  .map(grow);

function grow({ genes, order, shape }: Genome): WorkflowDefinition {
  const ids = genes.map((gene, place): ActionId => (gene.wordId ? `step-${place}` : place * 3));
  const ways = genes.map((gene, place) => waysOf(gene, place, genes.length));
  const incoming = genes.map(() => new Set<number>());
  for (const [place, { all }] of ways.entries()) {
    for (const to of all) incoming[to]!.add(place);
  }
  const actions = genes.map((gene, place) =>
    makeAction({ gene, place, ids, ways: ways[place]!, incoming: incoming[place]!.size }),
  );
  const roots = ids.filter((_, place) => incoming[place]!.size === 0);
  const written = actions
    .map((action, place) => ({ action, key: order[place]! }))
    .sort((one, other) => one.key - other.key);
  return {
    name: "random",
    rootAction: roots.length === 1 && shape % 2 === 0 ? roots[0]! : roots,
    actions: written.map(({ action }) => action),
    ...(shape % 3 === 0 && { output: { first: `$.${ids[0]}.output`, input: "$.input" } }),
    ...(shape % 5 === 0 && { timeoutSeconds: 3_600 }),
    ...(shape % 7 === 0 && { onSuccess: followUps[shape % followUps.length]! }),
    ...(shape % 7 === 1 && { onFailure: followUps[shape % followUps.length]! }),
  };
}

const followUps: readonly FollowUp[] = [
  "NOOP",
  "DELETE",
  { workflow: "after" },
  { workflow: "after", parameters: { about: "Execution {$.execution.id}", input: "$.input" } },
];

interface Ways {
  readonly all: ReadonlySet<number>;
  /** Places by route, until the ids are known. */
  readonly byRoute: ReadonlyMap<string, readonly number[]>;
  readonly byCode: ReadonlyMap<string, readonly number[]>;
}

function waysOf(gene: Gene, place: number, count: number): Ways {
  const byRoute = new Map<string, number[]>();
  const byCode = new Map<string, number[]>();
  const all = new Set<number>();
  for (const { to, route, onError } of gene.edges) {
    if (place + 1 >= count) break;
    const target = place + 1 + (to % (count - place - 1));
    const [ways, names] = onError ? [byCode, errorCodes] : [byRoute, routeNames(gene)];
    const name = names[route % names.length]!;
    const targets = ways.get(name) ?? [];
    if (!targets.includes(target)) targets.push(target);
    ways.set(name, targets);
    all.add(target);
  }
  return { all, byRoute, byCode };
}

/** Without `timeout` where the wait has none. */
function routeNames(gene: Gene): readonly string[] {
  const names = routesOf[gene.kind];
  return gene.kind === "wait" && !hasTimeout(gene) ? names.filter((n) => n !== "timeout") : names;
}

const hasTimeout = ({ shape }: Gene) => shape % 3 === 0;

interface Place {
  readonly gene: Gene;
  readonly place: number;
  readonly ids: readonly ActionId[];
  readonly ways: Ways;
  readonly incoming: number;
}

function makeAction(at: Place): ActionSpec {
  const { gene, place, ids, ways, incoming } = at;
  const next = routes(ways.byRoute, at);
  const onError = routes(ways.byCode, at);
  const join = incoming === 0 ? undefined : joinOf(gene.join, incoming);
  return {
    id: ids[place]!,
    type: gene.kind === "user" ? "user" : "system",
    name: gene.kind === "user" ? `work-${gene.shape % 3}` : gene.kind,
    ...particulars(at),
    ...(next !== undefined && { next }),
    ...(onError !== undefined && { onError }),
    ...(gene.optional && { optional: true }),
    ...(gene.strict && { strict: true }),
    ...(join !== undefined && { join }),
  };
}

/** One target is written bare at times, as people do. */
function routes(ways: ReadonlyMap<string, readonly number[]>, at: Place): Routes | undefined {
  const entries = [...ways].map(([name, places]): [string, ActionId | readonly ActionId[]] => {
    const targets = places.map((place) => at.ids[place]!);
    return [name, targets.length === 1 && at.gene.shape % 2 === 0 ? targets[0]! : targets];
  });
  const switchEndsHere = at.gene.kind === "switch" && at.gene.shape % 2 === 1;
  if (switchEndsHere && !ways.has("default")) entries.push(["default", []]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function joinOf(choice: number, incoming: number): JoinRule | undefined {
  switch (choice % 7) {
    case 0:
      return "all";
    case 1:
      return "any";
    case 2:
      return "settled";
    case 3:
      return 1 + (choice % incoming);
    case 4:
      return "succeeded";
    case 5:
      return { count: choice % 2 === 0 ? "any" : 1 + (choice % incoming), cancelRest: true };
    default:
      return undefined;
  }
}

function particulars(at: Place): Partial<ActionSpec> {
  const { shape, kind } = at.gene;
  switch (kind) {
    case "user":
      return {
        ...(shape !== 0 && { parameters: template(at) }),
        ...(shape === 1 && { retry: { retryCount: 1, retryPolicy: "FIXED", jitter: 0 } }),
        ...(shape === 2 && { priority: 7, queue: "slow", totalTimeoutSeconds: 600 }),
        ...(shape === 3 && { retry: { retryCount: 0, nonRetryable: ["CARD_DECLINED"] } }),
        ...(shape === 4 && { timeoutSeconds: 60, heartbeatSeconds: 5, queueTimeoutSeconds: 90 }),
      };
    case "switch":
      if (shape > 4 && at.ways.byRoute.size > 0) return { cases: cases(at) };
      return { expression: shape % 2 === 0 ? "$.input.route" : `{${reference(at, "route")}}` };
    case "map":
      return {
        items: "$.input.items ?? [1, 2, 3, 4, 5, 6, 7]",
        action: `work-${shape % 3}`,
        parameters: { item: "$.item", at: "$.index" },
        maxConcurrency: 1 + (shape % 3),
        ...(shape % 2 === 0 && { tolerate: shape % 4 === 0 ? "50%" : 1 }),
        ...(shape === 1 && { retry: { retryCount: 1, retryPolicy: "FIXED", jitter: 0 } }),
        ...(shape === 2 && { totalTimeoutSeconds: 600 }),
        ...(shape === 3 && { timeoutSeconds: 60, queueTimeoutSeconds: 90 }),
      };
    case "transform":
      return { parameters: template(at) };
    case "delay":
      if (shape % 3 === 0) return { delaySeconds: shape / 2 };
      if (shape % 3 === 1) return { until: "2030-01-01T00:00:00Z" };
      return { delaySeconds: "$.input.seconds" };
    case "wait":
      return {
        event: eventsOf(shape),
        ...(hasTimeout(at.gene) && { timeoutSeconds: 30 + shape }),
      };
    case "javascript":
      return { expression: "$.seen = $.input;" };
  }
}

function eventsOf(shape: number): Json {
  if (shape === 5) return ['{$.input.event ?? "go"}', "stop"];
  return shape % 2 === 0 ? ["go", "stop"] : ["stop", "go", "never"];
}

/** One for each of its routes. */
function cases(at: Place): Json {
  const other = reference(at, "value");
  return [...at.ways.byRoute.keys()].map((route) => ({
    when: {
      any: [
        { ref: "$.input.route", in: [route, Number(route) || null] },
        { all: [{ ref: other, exists: false }, { not: { ref: "$.input.route", gte: "b" } }] },
      ],
    },
    route,
  }));
}

function template(at: Place): Json {
  const reads = at.gene.reads.map((_, turn) => reference(at, "value", turn));
  return {
    fixed: at.gene.shape,
    whole: "$.input",
    price: "$1.50",
    texts: reads.map((read) => `Read {${read}} for {$.execution.id}`),
    values: reads,
  };
}

/** A reference to an action of a lower place, or to the input without one. */
function reference(at: Place, member: string, turn = 0): string {
  const { gene, place, ids } = at;
  if (place === 0) return `$.input.${member}`;
  const id = ids[(gene.reads[turn] ?? 0) % place]!;
  return turn % 2 === 0 ? `$.${id}.output.${member}` : `$${id}.output.${member}`;
}
