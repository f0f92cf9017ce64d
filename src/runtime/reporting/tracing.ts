/**
 * Reports to a trace what executions do: a span for each execution, action and attempt, made when
 * it has ended, by the server whose commit ended it. Spans hold names, ids, times and codes; never
 * payloads.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { ActionRecord, AttemptRecord } from "../../model/execution.ts";
import { type ExecutionKey, parseTaskId } from "../../model/ids.ts";
import type { TaskHeader } from "../../model/task-header.ts";
import type { Attributes, Span } from "../../telemetry/tracing/otlp.ts";
import {
  formatTraceParent,
  isWithin,
  parseTraceParent,
  spanIdOf,
  traceIdOf,
} from "../../telemetry/tracing/trace-context.ts";
import { type Committed, isEnding } from "../driving/committed.ts";

interface TracingOptions {
  /** Share of the executions that are traced, of those started outside of any trace. */
  readonly ratio: number;
  /** Takes a span; must not wait, and must not throw. */
  readonly add: (span: Span) => void;
}

/** The trace that an execution belongs to. */
interface Trace {
  readonly traceId: string;
  readonly parentSpanId: string | undefined;
  readonly sampled: boolean;
}

export class Tracing {
  readonly #options: TracingOptions;

  constructor(options: TracingOptions) {
    this.#options = options;
  }

  /** The span of the attempt, as the parent of the worker's spans. */
  ofTask(task: { readonly key: ExecutionKey; readonly id: string }, header: TaskHeader): string {
    const { traceId, sampled } = this.#traceOf(task.key.id, header.traceContext);
    const run = parseTaskId(task.id)?.run ?? 1;
    const spanId = spanIdOf(task.key.id, run, header.actionKey, header.attempt);
    return formatTraceParent({ traceId, spanId, sampled });
  }

  /** The span of an execution, for what it starts. */
  ofExecution(id: string, run: number, traceContext: string | undefined): string {
    const { traceId, sampled } = this.#traceOf(id, traceContext);
    return formatTraceParent({ traceId, spanId: spanIdOf(id, run), sampled });
  }

  committed(committed: Committed): void {
    const { before, after, plan } = committed;
    const { state } = after;
    const trace = this.#traceOf(state.id, state.traceContext);
    if (!trace.sampled) return;
    for (const [index, record] of after.records.entries()) {
      const earlier = before?.records[index];
      if (record !== undefined && record !== earlier)
        this.#tellAction(committed, trace, plan.actions[index]!, record);
    }
    if (!isEnding(committed)) return;
    const span = this.#span(committed, trace, {
      spanId: spanIdOf(state.id, state.run),
      parentSpanId: trace.parentSpanId,
      name: state.workflow,
      startedAt: state.startedAt,
      endedAt: state.endedAt,
      error: state.failure?.code ?? (state.status === "TIMED_OUT" ? "TIMED_OUT" : undefined),
    });
    this.#options.add({
      ...span,
      attributes: { ...span.attributes, "orchy.status": state.status },
    });
  }

  #tellAction(committed: Committed, trace: Trace, action: PlanAction, record: ActionRecord): void {
    const { before, after } = committed;
    const { id, run } = after.state;
    const earlier = before?.records[action.index];
    const actionSpanId = spanIdOf(id, run, action.key);
    const { name } = action;
    const attributes = { "orchy.action.id": action.key, "orchy.action.name": name };
    const known = earlier?.attempts?.at(-1)?.handout ?? 0;
    for (const attempt of record.attempts ?? []) {
      if (attempt.handout <= known) continue;
      const span = this.#span(committed, trace, {
        ...timesOf(attempt),
        spanId: spanIdOf(id, run, action.key, attempt.number),
        parentSpanId: actionSpanId,
        name: `${name} attempt`,
        error: attempt.failure?.code,
      });
      const more = { "orchy.attempt": attempt.number, "orchy.worker.id": attempt.worker };
      const all: Attributes = { ...span.attributes, ...attributes, ...more };
      this.#options.add({ ...span, kind: "client", attributes: all });
    }
    const { endedAt } = record;
    if (endedAt === undefined || earlier?.endedAt !== undefined) return;
    if (record.status === "SKIPPED") return;
    const span = this.#span(committed, trace, {
      ...timesOf({ ...record, endedAt }),
      spanId: actionSpanId,
      parentSpanId: spanIdOf(id, run),
      name,
      error: record.failure?.code,
    });
    const more = { "orchy.status": record.status };
    this.#options.add({ ...span, attributes: { ...span.attributes, ...attributes, ...more } });
  }

  #span(
    { after }: Committed,
    { traceId }: Trace,
    of: Pick<Span, "spanId" | "parentSpanId" | "name" | "startedAt" | "error"> & {
      readonly endedAt: number | undefined;
    },
  ): Span {
    const { id, workflow, version, traceState } = after.state;
    return {
      ...of,
      traceId,
      traceState,
      kind: "internal",
      endedAt: of.endedAt ?? of.startedAt,
      attributes: {
        "orchy.workflow": workflow,
        "orchy.workflow.version": version,
        "orchy.execution.id": id,
      },
    };
  }

  #traceOf(executionId: string, traceContext: string | undefined): Trace {
    const parent = traceContext === undefined ? undefined : parseTraceParent(traceContext);
    if (parent !== undefined) {
      return { traceId: parent.traceId, parentSpanId: parent.spanId, sampled: parent.sampled };
    }
    const traceId = traceIdOf(executionId);
    return { traceId, parentSpanId: undefined, sampled: isWithin(traceId, this.#options.ratio) };
  }
}

/** What ended in the moment of its start notes only the one. */
function timesOf({ startedAt, endedAt }: Pick<AttemptRecord, "startedAt" | "endedAt">) {
  return { startedAt: startedAt ?? endedAt, endedAt };
}
