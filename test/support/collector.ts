/** A collector of traces: takes what servers send over OTLP/HTTP, and lets tests look at it. */
import { until } from "./redis.ts";

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  /** 2 is an error. */
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Collector {
  readonly url: string;
  /** Bodies and headers of the requests, as they came. */
  readonly requests: { readonly body: string; readonly headers: Headers }[];
  /** How the next requests are answered; pending: it hangs. */
  answer: () => Response | Promise<Response>;
  spans(): readonly CollectedSpan[];
  /** The spans of one execution, once this many have come. */
  untilSpans(executionId: string, count: number): Promise<readonly CollectedSpan[]>;
  stop(): Promise<void>;
}

export function startCollector(): Collector {
  const requests: Collector["requests"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname !== "/v1/traces") return new Response(null, { status: 404 });
      const body = await request.text();
      const response = await collector.answer();
      if (response.ok) requests.push({ body, headers: request.headers });
      return response;
    },
  });
  const collector: Collector = {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    answer: () => Response.json({}),
    spans: () => requests.flatMap(({ body }) => spansOf(body)),
    async untilSpans(executionId, count) {
      const own = () =>
        collector.spans().filter((one) => one.attributes["orchy.execution.id"] === executionId);
      await until(async () => own().length >= count);
      return own();
    },
    stop: () => server.stop(true),
  };
  return collector;
}

function spansOf(body: string): CollectedSpan[] {
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what is asserted
  const { resourceSpans } = JSON.parse(body) as any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return resourceSpans[0].scopeSpans[0].spans.map((span: any) => ({
    ...span,
    status: span.status ?? {},
    startMs: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
    endMs: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
    attributes: Object.fromEntries(
      // biome-ignore lint/suspicious/noExplicitAny: as above
      span.attributes.map(({ key, value }: any) => [key, value.stringValue ?? value.intValue]),
    ),
  }));
}
