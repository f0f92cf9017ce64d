/** What the headers of a start say of the trace that it belongs to. */
import type { StartRequest } from "../../runtime/shared/orchestrator.ts";
import { isTraceState, parseTraceParent } from "../../telemetry/tracing/trace-context.ts";

/** Another form of it is not worth refusing a start for: it is as good as none. */
export function traceOf(headers: Headers): Pick<StartRequest, "traceContext" | "traceState"> {
  const traceContext = headers.get("traceparent");
  if (traceContext === null || parseTraceParent(traceContext) === undefined) return {};
  const traceState = headers.get("tracestate");
  if (traceState === null || !isTraceState(traceState)) return { traceContext };
  return { traceContext, traceState };
}
