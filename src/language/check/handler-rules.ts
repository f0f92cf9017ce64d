/** Warnings about error handlers that do not do what they seem to. */
import type { Json } from "../../model/json.ts";
import { kindOf, kinds } from "../kinds/table.ts";
import { isObject, type ReadObject } from "../readers/fields.ts";
import { below, quoted, type Report } from "../readers/report.ts";
import { anyError } from "../readers/user-rules.ts";

interface Graph {
  readonly actions: readonly { readonly pointer: string; readonly spec: ReadObject }[];
  readonly positions: ReadonlyMap<string, number>;
  readonly targets: readonly (readonly number[])[];
  readonly incoming: readonly number[];
}

/** Keys of `onError` that actions of every kind may reach. */
const commonFailures = [
  "REFERENCE_NOT_FOUND",
  "INVALID_VALUE",
  "TOO_LARGE",
  "JOIN_NOT_MET",
  "default",
];

export function warnOfHandlers(graph: Graph, report: Report): void {
  const { actions } = graph;
  const handled = actions.map(({ spec }) => targetsIn(graph, spec.onError));
  const failures = actions.map(() => 0);
  for (const handlers of handled) for (const handler of handlers) failures[handler]! += 1;
  for (const [position, { spec, pointer }] of actions.entries()) {
    const join = countOf(spec.join);
    if (join === "any" && failures[position]! > 1) {
      const message = `${failures[position]} actions lead here by onError, and the join "any" starts it for the first of them only. Without a join it handles all that have failed.`;
      report.warning(below(pointer, "join"), message);
    }
    warnOfCodes(spec, below(pointer, "onError"), report);
    warnOfUnreachable(graph, position, handled[position]!, report);
  }
}

function warnOfCodes(spec: ReadObject, pointer: string, report: Report): void {
  const kind = kindOf(spec);
  const failures = kind && kinds[kind].failures;
  for (const code of Object.keys(isObject(spec.onError) ? spec.onError : {})) {
    if (anyError.has(code)) {
      const message = `${quoted(code)} is a code like any other; for all errors write "default".`;
      report.warning(below(pointer, code), message);
    } else if (failures !== undefined && ![...failures, ...commonFailures].includes(code)) {
      const known = [...failures, ...commonFailures].slice(0, -1).join(", ");
      const isTimeout = kind === "wait" && code === "TIMEOUT";
      const hint = isTimeout ? ' When its time is over it takes the route "timeout" of next.' : "";
      const message = `It is never reached: a ${kind} action fails with ${known}, or a code given by hand.${hint}`;
      report.warning(below(pointer, code), message);
    }
  }
}

/** Handlers that wait for what can never run once the action has failed. */
function warnOfUnreachable(
  graph: Graph,
  failing: number,
  handlers: ReadonlySet<number>,
  report: Report,
): void {
  const demanding = [...handlers].filter((handler) => {
    const join = countOf(graph.actions[handler]!.spec.join);
    return join === "succeeded" || (typeof join === "number" && join > 1);
  });
  if (demanding.length === 0) return;
  const skipped = skippedBy(graph, failing, handlers);
  for (const handler of demanding) {
    const { spec, pointer } = graph.actions[handler]!;
    const before = [...skipped].filter((source) => graph.targets[source]!.includes(handler));
    const carries = (source: number) =>
      targetsIn(graph, graph.actions[source]!.spec.next).has(handler);
    const join = countOf(spec.join);
    const never =
      join === "succeeded"
        ? before.some(carries)
        : Number(join) > graph.incoming[handler]! - before.length;
    if (!never) continue;
    const name = quoted(graph.actions[failing]!.spec.id as string | number);
    const message = `This handler can never run when ${name} fails: it joins an edge that is dead then. Leave the join out, or use "settled".`;
    report.warning(below(pointer, "join"), message);
    return;
  }
}

/** Actions that are skipped whenever this one fails, as all that leads to them is. */
function skippedBy(graph: Graph, failing: number, handlers: ReadonlySet<number>): Set<number> {
  const dead = new Map<number, number>();
  const skipped = new Set<number>();
  const open = [failing];
  for (let source = open.pop(); source !== undefined; source = open.pop()) {
    for (const target of graph.targets[source]!) {
      if (source === failing && handlers.has(target)) continue;
      const count = (dead.get(target) ?? 0) + 1;
      dead.set(target, count);
      const isSettled = graph.actions[target]!.spec.join === "settled";
      if (count < graph.incoming[target]! || isSettled || skipped.has(target)) continue;
      skipped.add(target);
      open.push(target);
    }
  }
  return skipped;
}

export function countOf(join: Json | undefined): Json | undefined {
  return isObject(join) ? (join.count as Json) : join;
}

function targetsIn({ positions }: Graph, routes: Json | undefined): Set<number> {
  const ids = Object.values(isObject(routes) ? routes : {}).flat() as Json[];
  const found = ids.map((id) => positions.get(String(id)));
  return new Set(found.filter((position) => position !== undefined));
}
