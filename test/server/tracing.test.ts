/** Trace context from the start to each task and child, and spans as a collector hears of them. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { limits } from "../../src/base/limits.ts";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { traceIdOf } from "../../src/telemetry/tracing/trace-context.ts";
import { type CollectedSpan, type Collector, startCollector } from "../support/collector.ts";
import { readMetrics } from "../support/metrics.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { until } from "../support/redis.ts";
import { complete, done, failed, pollOne, service, single } from "./calls.ts";

/**
 * What a busy machine may add to the end of a server, which would be waiting for a minute or more.
 */
const roomMs = 20_000;
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const callerSpan = "00f067aa0ba902b7";
const traceparent = `00-${traceId}-${callerSpan}-01`;
const tracestate = "vendor=of-the-caller";
const fast = { retry: { retryCount: 1, retryAfterSeconds: 0 } };

interface TracedTask {
  readonly token: string;
  readonly traceContext?: string;
  readonly traceState?: string;
}

const take = (server: TestServer, action: string): Promise<TracedTask> => pollOne(server, action);

async function start(
  server: TestServer,
  workflow: string,
  headers: Record<string, string> = {},
  input: unknown = {},
): Promise<string> {
  const { body } = await call(server, "POST", "/v1/executions", { workflow, input }, headers);
  return body.id;
}

/** The newest execution of a workflow, once there is one. */
async function startedOf(server: TestServer, workflow: string): Promise<string> {
  let id: string | undefined;
  await until(async () => {
    const { body } = await call(server, "GET", `/v1/executions?workflow=${workflow}`);
    id = body.items[0]?.id;
    return id !== undefined;
  });
  return id as string;
}

/** One user action that fails once and is tried again, a script, one that fails finally. */
const traced = {
  name: "traced",
  rootAction: "a",
  onFailure: { workflow: "traced-after" },
  actions: [
    { id: "a", type: "user", name: "traced-a", ...fast, next: { default: "t" } },
    { id: "t", type: "system", name: "transform", parameters: {}, next: { default: "b" } },
    { id: "b", type: "user", name: "traced-b" },
  ],
};

describe("without a collector", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.remove());

  test("what the start said is with each task, over Connect and gRPC, and with what follows", async () => {
    await saveWorkflow(server, { ...single("plain"), onSuccess: { workflow: "plain-after" } });
    await saveWorkflow(server, single("plain-after"));
    await start(server, "plain", { traceparent, tracestate });
    const task = await take(server, "plain");
    expect(task).toMatchObject({ traceContext: traceparent, traceState: tracestate });
    await complete(server, done(task));

    const baseUrl = `http://127.0.0.1:${server.grpcPort}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    const client = createClient(WorkerService, createGrpcTransport({ baseUrl, sessionManager }));
    const { tasks } = await client.poll({ actions: ["plain-after"], waitSeconds: 10 });
    sessionManager.abort();
    expect(tasks).toMatchObject([{ traceContext: traceparent, traceState: tracestate }]);
  });

  test("the legacy way to start carries it, too", async () => {
    await saveWorkflow(server, single("legacy"));
    await call(server, "POST", "/flow/execute", { name: "legacy" }, { traceparent });
    expect((await take(server, "legacy")).traceContext).toBe(traceparent);
  });

  test.each([
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    `00-${traceId}-0000000000000000-01`,
    `ff-${traceId}-${callerSpan}-01`,
    `${traceparent}-more`,
    "nonsense",
  ])("%s is as good as none", async (invalid) => {
    await saveWorkflow(server, single("invalid"));
    await start(server, "invalid", { traceparent: invalid, tracestate });
    const task = await take(server, "invalid");
    expect([task.traceContext, task.traceState]).toEqual([undefined, undefined]);
  });
});

describe("with a collector", () => {
  let collector: Collector;
  let server: TestServer;

  const serverOf = (...flags: string[]) =>
    startTestServer({ flags: ["--otlp-endpoint", collector.url, ...flags] });
  beforeAll(async () => {
    collector = startCollector();
    server = await serverOf("--otlp-headers", "x-key=of%20ours", "--service-name", "shop");
    await saveWorkflow(server, single("traced-after"));
    await saveWorkflow(server, traced);
  });
  afterAll(async () => {
    await server.remove();
    await collector.stop();
  });
  beforeEach(() => {
    collector.answer = () => Response.json({});
  });

  const named = (spans: readonly CollectedSpan[], name: string) =>
    spans.filter((span) => span.name === name);

  test("an execution with a retry and a failure is a tree of spans below its caller's", async () => {
    const secret = "the-secret-payload";
    const id = await start(server, "traced", { traceparent, tracestate }, { secret });
    const first = await take(server, "traced-a");
    const refusal = { code: "BUSY", message: secret, details: { secret }, retryable: true };
    const settle = (workerId: string, ...results: object[]) =>
      service(server, "Complete", { workerId, results });
    await settle("w1", { token: first.token, failure: refusal });
    const second = await take(server, "traced-a");
    await settle("w2", done(second, { secret }));
    const third = await take(server, "traced-b");
    await settle("w1", failed(third, "DECLINED", false));
    expect((await untilEnded(server, id)).status).toBe("FAILED");
    const spans = await collector.untilSpans(id, 7);

    const [execution] = named(spans, "traced") as [CollectedSpan];
    expect(execution).toMatchObject({
      parentSpanId: callerSpan,
      traceId,
      kind: 1,
      status: { code: 2, message: "DECLINED" },
      attributes: {
        "orchy.workflow": "traced",
        "orchy.workflow.version": "1",
        "orchy.status": "FAILED",
        "orchy.execution.id": id,
        "error.type": "DECLINED",
      },
    });
    const action = (name: string) => named(spans, name)[0] as CollectedSpan;
    for (const [name, of, error] of [
      ["traced-a", "a", undefined],
      ["transform", "t", undefined],
      ["traced-b", "b", "DECLINED"],
    ] as const) {
      const span = action(name);
      expect(span.parentSpanId).toBe(execution.spanId);
      expect(span.attributes["orchy.action.id"]).toBe(of);
      expect(span.attributes["error.type"]).toBe(error as string);
      expect(span.status.code).toBe(error === undefined ? undefined : 2);
    }
    const attempts = [...named(spans, "traced-a attempt"), ...named(spans, "traced-b attempt")];
    const parents = ["traced-a", "traced-a", "traced-b"].map((name) => action(name).spanId);
    const told = attempts.map(({ parentSpanId, attributes }) => [
      ...[parentSpanId, attributes["orchy.attempt"], attributes["orchy.worker.id"]],
      attributes["error.type"],
    ]);
    expect(told).toEqual([
      [parents[0], "1", "w1", "BUSY"],
      [parents[1], "2", "w2", undefined],
      [parents[2], "1", "w1", "DECLINED"],
    ]);
    // Each worker was told the span of its attempt.
    expect([first, second, third].map(({ traceContext }) => traceContext)).toEqual(
      attempts.map(({ spanId }) => `00-${traceId}-${spanId}-01`),
    );
    expect(first.traceState).toBe(tracestate);

    const byId = new Map(spans.map((span) => [span.spanId, span]));
    expect(byId.size).toBe(7);
    for (const span of spans) {
      expect([span.traceId, span.traceState]).toEqual([traceId, tracestate]);
      expect(span.endMs).toBeGreaterThanOrEqual(span.startMs);
      const parent = byId.get(span.parentSpanId ?? "");
      if (parent === undefined) continue;
      expect(span.startMs).toBeGreaterThanOrEqual(parent.startMs);
      expect(span.endMs).toBeLessThanOrEqual(parent.endMs);
    }
    for (const { body, headers } of collector.requests) {
      expect(body).not.toContain(secret);
      expect(body).toContain('{"key":"service.name","value":{"stringValue":"shop"}}');
      expect(headers.get("x-key")).toBe("of ours");
    }

    // What the failure has started hangs below the execution.
    const after = await take(server, "traced-after");
    await complete(server, done(after));
    const followUp = await collector.untilSpans(await startedOf(server, "traced-after"), 3);
    expect(
      named(followUp, "traced-after").find((span) => span.parentSpanId === execution.spanId),
    ).toBeDefined();
    for (const span of followUp) expect(span.traceId).toBe(traceId);
  }, 120_000);

  test("another server than the one that started it tells the same tree", async () => {
    let one = await serverOf();
    await saveWorkflow(one, single("moved"));
    const id = await startExecution(one, "moved");
    const task = await take(one, "moved");
    one = await one.restart();
    await complete(one, done(task));
    const spans = await collector.untilSpans(id, 3);
    const [attempt] = named(spans, "moved attempt") as [CollectedSpan];
    expect(task.traceContext).toBe(`00-${traceIdOf(id)}-${attempt.spanId}-01`);
    const root = spans.find(({ parentSpanId }) => parentSpanId === undefined);
    expect(root?.attributes["orchy.status"]).toBe("COMPLETED");
    const action = spans.find(({ parentSpanId }) => parentSpanId === root?.spanId);
    expect(attempt.parentSpanId).toBe(action?.spanId as string);
    await one.remove();
  }, 120_000);

  test("what its caller does not sample is not told, nor what the ratio leaves out", async () => {
    const few = await serverOf("--trace-ratio", "0");
    await saveWorkflow(few, single("few"));
    const unsampled = traceparent.replace(/01$/, "00");
    const ids: string[] = [];
    for (const headers of [{}, { traceparent: unsampled }, { traceparent }]) {
      ids.push(await start(few, "few", headers));
      const task = await take(few, "few");
      expect(task.traceContext).toEndWith(headers.traceparent === traceparent ? "-01" : "-00");
      await complete(few, done(task));
    }
    // The last one is reported, and would have been reported after the others.
    await collector.untilSpans(ids[2] as string, 3);
    await few.remove();
    const told = new Set(collector.spans().map((span) => span.attributes["orchy.execution.id"]));
    expect(ids.map((id) => told.has(id))).toEqual([false, false, true]);
  }, 120_000);

  test("a collector that was away hears of it later", async () => {
    let calls = 0;
    collector.answer = () =>
      ++calls <= 2 ? new Response(null, { status: 503 }) : Response.json({});
    await saveWorkflow(server, single("later"));
    const id = await start(server, "later");
    await complete(server, done(await take(server, "later")));
    expect(await collector.untilSpans(id, 3)).toHaveLength(3);
    expect(calls).toBeGreaterThanOrEqual(3);
    expect((await readMetrics(server)).get("orchy_trace_spans_dropped_total")).toBe(0);
  }, 120_000);

  test("a collector that hangs costs neither speed nor memory, and holds up no end", async () => {
    collector.answer = () => new Promise(() => {});
    const slow = await serverOf();
    const chain = Array.from({ length: 900 }, (_, i) => ({
      id: i,
      type: "system",
      name: "transform",
      parameters: {},
      ...(i < 899 && { next: { default: i + 1 } }),
    }));
    await saveWorkflow(slow, { name: "chain", rootAction: 0, actions: chain });
    const executions = 2 * Math.ceil(limits.traceQueueMax / 900);
    const ids = await Promise.all(
      Array.from({ length: executions }, () => startExecution(slow, "chain")),
    );
    for (const id of ids) expect((await untilEnded(slow, id)).status).toBe("COMPLETED");
    const metrics = await readMetrics(slow);
    const dropped = executions * 901 - limits.traceQueueMax;
    expect(metrics.get("orchy_trace_spans_dropped_total")).toBe(dropped);
    expect(metrics.get("orchy_trace_spans_sent_total")).toBe(0);
    const beganAt = performance.now();
    await slow.remove();
    expect(performance.now() - beganAt).toBeLessThan(limits.traceFlushMs + roomMs);
  }, 120_000);

  test("nobody listens: nothing comes of it", async () => {
    await collector.stop();
    const alone = await serverOf();
    await saveWorkflow(alone, single("alone"));
    const id = await startExecution(alone, "alone");
    await complete(alone, done(await take(alone, "alone")));
    expect((await untilEnded(alone, id)).status).toBe("COMPLETED");
    const beganAt = performance.now();
    await alone.remove();
    expect(performance.now() - beganAt).toBeLessThan(limits.traceFlushMs + roomMs);
  }, 120_000);
});
