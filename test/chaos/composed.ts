/**
 * Workflows of the chaos run that are made of others, or whose failures go somewhere: children, maps,
 * loops, handlers and terminate.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type Check,
  chain,
  counts,
  failsWith,
  type Kind,
  run,
  step,
  system,
  workflow,
} from "./kind.ts";

/** Run by others. */
const child: object = chain("child", 2, { output: "$.s1.output" });
/** Goes on until its parent has ended. A parent that never ends it would show as stuck. */
const endless: object = workflow("endless", "never", [never("never")]);

const itemsOf = (count: number) =>
  system("list", "transform", {
    parameters: Array.from({ length: count }, (_, place) => ({ place })),
    next: { default: "map" },
  });
const itemCount = 12;

function never(id: string): object {
  return system(id, "wait", { event: "never", timeoutSeconds: 600 });
}

const body = (...actions: object[]) => ({ rootAction: "in", actions });

/** What these actions have come to. */
function statuses(wanted: Readonly<Record<string, string>>, and?: Check): Check {
  return (shown) => {
    for (const [id, status] of Object.entries(wanted)) {
      const found = shown.actions.find((action) => action.id === id)?.status;
      if (found !== status) return `${id} is ${found}, not ${status}`;
    }
    return and?.(shown);
  };
}

/** One after the other, as the items are; those that fail are null. */
function mapCheck(fails: (index: number) => boolean): Check {
  return ({ data, input }) => {
    const { results, failures } = data.map?.output ?? {};
    const found = (results as ({ n: number; run: string } | null)[]).map((one) => one?.n ?? null);
    const wanted = Array.from({ length: itemCount }, (_, index) =>
      fails(index) ? null : input.n + index + 1,
    );
    if (!isDeepStrictEqual(found, wanted)) return `the results are ${JSON.stringify(found)}`;
    const failed = (failures as { index: number; error: { code: string } }[]).map(
      ({ index, error }) => [index, error.code],
    );
    const wrong = wanted.flatMap((n, index) => (n === null ? [[index, "DECLINED"]] : []));
    if (!isDeepStrictEqual(failed, wrong)) return `the failures are ${JSON.stringify(failed)}`;
    const runs = results.map((one: { run: string } | null, index: number) => one?.run ?? index);
    return new Set(runs).size === itemCount ? undefined : "two items have the result of one run";
  };
}

const mapRules = { items: "$.list.output", maxConcurrency: 4, next: { default: "end" } };
const itemParameters = { n: "$.input.n", add: "$.index" };

const maps: readonly Kind[] = [
  {
    name: "map",
    weight: 6,
    ends: "COMPLETED",
    check: mapCheck(() => false),
    definition: workflow("map", "list", [
      itemsOf(itemCount),
      system("map", "map", { ...mapRules, action: "chaos-item", parameters: itemParameters }),
      step("end"),
    ]),
  },
  {
    name: "map-tolerant",
    weight: 4,
    ends: "COMPLETED",
    check: mapCheck((index) => index % 5 === 2),
    definition: workflow("map-tolerant", "list", [
      itemsOf(itemCount),
      system("map", "map", {
        ...mapRules,
        ...{ action: "chaos-item", parameters: { ...itemParameters, failAt: 2 }, tolerate: 2 },
      }),
      step("end"),
    ]),
  },
  {
    name: "map-children",
    weight: 4,
    ends: "COMPLETED",
    children: { map: { count: itemCount, output: ({ data }, at) => data.map?.output.results[at] } },
    check: mapCheck(() => false),
    definition: workflow("map-children", "list", [
      itemsOf(itemCount),
      system("map", "map", {
        ...mapRules,
        workflow: "chaos-kid",
        parameters: itemParameters,
      }),
      step("end"),
    ]),
  },
  {
    name: "map-retried",
    weight: 4,
    ends: "COMPLETED",
    afterwards: "open-and-retry",
    check: mapCheck(() => false),
    definition: workflow("map-retried", "list", [
      itemsOf(itemCount),
      system("map", "map", { ...mapRules, action: "chaos-gated", parameters: itemParameters }),
      step("end"),
    ]),
  },
];

/** An item as an execution. */
const kid: object = workflow(
  "kid",
  "s",
  [step("s", { name: "chaos-item", parameters: { add: "$.input.add" } })],
  { output: "$.s.output" },
);

const families: readonly Kind[] = [
  {
    name: "family",
    weight: 8,
    ends: "COMPLETED",
    children: {
      named: { count: 1, output: ({ data }) => data.named?.output },
      within: { count: 1, output: ({ data }) => data.within?.output },
      apart: { count: 1 },
    },
    check: (shown) =>
      counts("named", 2)(shown) ?? counts("within", 1)(shown) ?? counts("end", 3)(shown),
    definition: workflow(
      "family",
      ["named", "within", "apart"],
      [
        run("named", "child", { parameters: { n: "$.input.n" }, next: { default: "end" } }),
        system("within", "workflow", {
          definition: { ...body(step("in")), output: "$.in.output" },
          parameters: { n: "$.input.n" },
          next: { default: "end" },
        }),
        run("apart", "child", { detach: true, parameters: { n: "$.input.n" } }),
        step("end", { after: "named" }),
      ],
    ),
  },
  {
    name: "loop",
    weight: 5,
    ends: "COMPLETED",
    children: { loop: { count: 3 } },
    check: ({ data, input }) => {
      const { iterations, last } = data.loop?.output ?? {};
      return iterations === 3 && last?.n === input.n + 6
        ? undefined
        : `the loop put out ${JSON.stringify(data.loop?.output)}`;
    },
    definition: workflow("loop", "loop", [
      system("loop", "loop", {
        ...{ workflow: "chaos-child", maxIterations: 5, while: { ref: "$.iteration", lt: 3 } },
        parameters: { n: "$.last.n ?? $.input.n" },
      }),
    ]),
  },
  {
    name: "child-fails",
    weight: 3,
    ends: "COMPLETED",
    children: { child: { count: 1, ends: "FAILED" } },
    check: statuses({ child: "FAILED", end: "COMPLETED" }, counts("end", 1)),
    definition: workflow("child-fails", "child", [
      run("child", "fail", { onError: { CHILD_FAILED: "end" } }),
      step("end"),
    ]),
  },
  {
    name: "family-cancelled",
    weight: 5,
    ends: "CANCELLED",
    afterwards: "cancel",
    children: {
      named: { count: 1, ends: "CANCELLED" },
      within: { count: 1, ends: "CANCELLED" },
      map: { count: 3, ends: "CANCELLED" },
      apart: { count: 1 },
    },
    definition: workflow(
      "family-cancelled",
      ["named", "within", "list", "apart"],
      [
        run("named", "endless", {}),
        system("within", "workflow", { definition: body(never("in")) }),
        itemsOf(3),
        system("map", "map", { items: "$.list.output", workflow: "chaos-endless" }),
        run("apart", "child", { detach: true, parameters: { n: "$.input.n" } }),
      ],
    ),
  },
  {
    name: "terminate",
    weight: 4,
    ends: "FAILED",
    children: { named: { count: 1, ends: "CANCELLED" } },
    check: statuses({ end: "COMPLETED", named: "CANCELLED" }, failsWith("ENOUGH")),
    definition: workflow(
      "terminate",
      ["first", "named"],
      [
        step("first", { next: ["end"] }),
        system("end", "terminate", {
          status: "FAILED",
          code: "ENOUGH",
          reason: "{$.first.output.n}",
        }),
        run("named", "endless", {}),
      ],
    ),
  },
];

const declines = (id: string, rules: object) => step(id, { name: "chaos-fail", rules });
const always = { join: "settled" };

const failing: readonly Kind[] = [
  {
    // The hotel fails: the handler that it shares with the flight runs, and then what always runs.
    name: "saga",
    weight: 5,
    ends: "COMPLETED",
    check: statuses(
      { flight: "COMPLETED", hotel: "FAILED", car: "SKIPPED", undo: "COMPLETED", end: "COMPLETED" },
      (shown) =>
        shown.data.undo?.output?.saw === "hotel DECLINED"
          ? counts("end", 1)(shown)
          : "undo saw else",
    ),
    definition: workflow("saga", "flight", [
      step("flight", { next: ["hotel"], rules: { onError: { default: "undo" } } }),
      declines("hotel", { next: { default: "car" }, onError: { default: "undo" } }),
      step("car", { next: ["end"] }),
      step("undo", {
        parameters: { saw: "{$.execution.error.action} {$.execution.error.code}" },
        next: ["end"],
      }),
      step("end", { rules: always }),
    ]),
  },
  {
    name: "fallback",
    weight: 5,
    ends: "COMPLETED",
    check: statuses({ card: "FAILED", invoice: "COMPLETED", ship: "COMPLETED" }, (shown) =>
      counts("ship", 2)(shown),
    ),
    links: [["ship", "invoice"]],
    definition: workflow("fallback", "card", [
      declines("card", { next: { default: "ship" }, onError: { DECLINED: "invoice" } }),
      step("invoice", { next: ["ship"] }),
      step("ship", { after: "invoice" }),
    ]),
  },
  {
    name: "handler-fails",
    weight: 3,
    ends: "FAILED",
    check: statuses({ work: "FAILED", undo: "FAILED", end: "PENDING" }, failsWith("DECLINED")),
    definition: workflow("handler-fails", "work", [
      declines("work", { next: { default: "end" }, onError: { default: "undo" } }),
      declines("undo", { next: { default: "end" } }),
      step("end"),
    ]),
  },
];

export const composed: readonly Kind[] = [...maps, ...families, ...failing];
/** Started by others only. */
export const helpers: readonly object[] = [child, endless, kid];
