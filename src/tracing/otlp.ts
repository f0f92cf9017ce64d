/** Spans, and how OTLP writes them as JSON (ExportTraceServiceRequest). */

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: "internal" | "client";
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Code of the error that it ended with. */
  readonly error: string | undefined;
  readonly attributes: Attributes;
}

export type Attributes = Readonly<Record<string, string | number | undefined>>;

const kinds = { internal: 1, client: 3 } as const;
const statusError = 2;
/** The trace is sampled. */
const flagSampled = 1;

export function exportRequest(
  resource: Attributes,
  scope: { readonly name: string; readonly version: string },
  spans: readonly Span[],
): string {
  const scopeSpans = [{ scope, spans: spans.map(spanJson) }];
  const resourceSpans = [{ resource: { attributes: attributesJson(resource) }, scopeSpans }];
  return JSON.stringify({ resourceSpans });
}

function spanJson(span: Span) {
  const { traceId, spanId, parentSpanId, traceState, name, error } = span;
  const attributes = attributesJson({ ...span.attributes, "error.type": error });
  return {
    ...{ traceId, spanId, parentSpanId, traceState, name, attributes, flags: flagSampled },
    kind: kinds[span.kind],
    startTimeUnixNano: nanoseconds(span.startedAt),
    endTimeUnixNano: nanoseconds(span.endedAt),
    ...(error !== undefined && { status: { code: statusError, message: error } }),
  };
}

/** As text, as such numbers are too large for JSON's. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms)}000000`;
}

function attributesJson(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const written =
      typeof value === "number" ? { intValue: String(value) } : { stringValue: value };
    return [{ key, value: written }];
  });
}
