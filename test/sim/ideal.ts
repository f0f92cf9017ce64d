/**
 * How an execution of a tidy workflow ends when nothing goes wrong: the engine alone, in a world
 * where each thing that is asked for happens next. No store, no time, no faults.
 */

import { begin, decide } from "../../src/engine/decide.ts";
import { afterDecision } from "../../src/engine/stored/codec.ts";
import type { Plan } from "../../src/language/plan.ts";
import type { Decision, NewTask } from "../../src/model/decision.ts";
import type { ExecutionEvent } from "../../src/model/event.ts";
import type { Execution } from "../../src/model/execution.ts";
import { currentFormat } from "../../src/model/format.ts";
import { fields, formatToken, tokenPrefix } from "../../src/model/ids.ts";
import type { TaskHeader } from "../../src/model/task-header.ts";
import { parseTimer } from "../../src/model/timer.ts";
import { outcomeOf } from "./outcomes.ts";
import type { Evaluate } from "./scripts.ts";
import { actionDefinitions, deliveredDefinition } from "./workflows.ts";

/** What only faults bring about: then the end depends on them. */
const faultCodes: ReadonlySet<string> = new Set(["HEARTBEAT_LOST", "TIMEOUT", "STRUCT_TOO_DEEP"]);

const registered = (name: string) =>
  [...actionDefinitions, deliveredDefinition].find((definition) => definition.name === name);

/** What differs between this end and the ideal one, if anything; `untold`: faults decided it. */
export function idealEnd(plan: Plan, real: Execution, evaluate: Evaluate): string | undefined {
  if (real.state.status === "CANCELLED") return "untold";
  for (const record of real.records) {
    const attempts = record?.attempts;
    if (attempts?.some(({ failure }) => faultCodes.has(failure?.code ?? ""))) return "untold";
  }
  const ideal = run(plan, real, evaluate);
  if (ideal.state.status !== real.state.status) {
    return `it is ${real.state.status}, and without faults ${ideal.state.status}`;
  }
  // A failure ends what runs beside it, wherever that has come to.
  if (ideal.state.status !== "COMPLETED") return undefined;
  for (const { index, key } of plan.actions) {
    const [found, wanted] = [describe(real, index, key), describe(ideal, index, key)];
    if (found !== wanted) return `${key} is ${found}, and without faults ${wanted}`;
  }
  return undefined;
}

function describe({ records, data }: Execution, index: number, key: string): string {
  const record = records[index];
  const output = data.get(fields.output(key))?.replace(/"by":"[^"]*"/, "");
  return `${record?.status} ${record?.route} ${record?.attempt} ${output}`;
}

function run(plan: Plan, { state, data }: Execution, evaluate: Evaluate): Execution {
  const surroundings = { plan, now: state.startedAt, format: currentFormat, registered };
  const { id, seed } = state;
  const input = data.get(fields.input) ?? "null";
  const first = begin({ ...surroundings, id, seed, input }) as Decision;
  let execution: Execution = { state: first.state, records: [], data: new Map() };
  const next: ExecutionEvent[] = [];
  const apply = (decision: Decision) => {
    execution = afterDecision(execution, decision);
    if (decision.more) next.push({ type: "continue" });
    for (const script of decision.scripts) {
      next.push({ type: "script", handout: script.handout, outcome: evaluate(script) });
    }
    for (const task of decision.effects.tasks) next.push(resultOf(task));
    for (const timer of decision.effects.timers) {
      const kind = parseTimer(timer.id)?.kind;
      if (kind === "delay" || kind === "retry") {
        next.push({ type: "timer", id: timer.id, claimId: "ideal" });
      }
    }
  };
  apply(first);
  for (let event = next.shift(); event !== undefined; event = next.shift()) {
    const decision = decide(execution, [event], surroundings);
    if ("need" in decision) throw new Error(`the ideal run needs ${decision.need}`);
    apply(decision);
  }
  return execution;
}

function resultOf(task: NewTask): ExecutionEvent {
  const token = formatToken(tokenPrefix(0, "ideal"), task.id);
  const outcome = outcomeOf(JSON.parse(task.header) as TaskHeader, token);
  return { type: "result", taskId: task.id, token, outcome };
}
