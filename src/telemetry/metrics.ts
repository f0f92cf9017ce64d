/**
 * What this server counts and measures, as Prometheus text. The names of metrics and labels are all
 * here; labels are bounded, so that no caller can make the text grow.
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { inTime } from "../base/amount.ts";
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Logger } from "./log.ts";
import { MainThread } from "./main-thread.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { SourceMetrics } from "./source-metrics.ts";
import { Spreads, Tally } from "./tally.ts";

/** Seconds: what takes part of a millisecond, up to what somebody waits for. */
const callBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10];
/** Seconds: from a hand-off at once to a backlog of hours. */
const taskBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];

/** Seconds: what is counted as a hold, up to a standstill. */
const holdBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Values that are read when the metrics are. */
interface Readings {
  readonly parkedPolls: () => number;
  readonly mailboxes: () => number;
  readonly waitingScripts: () => number;
  readonly repairs: () => number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #workflows = new Set<string>();

  readonly #started = this.#counter("executions_started_total", "Executions started.", "workflow");
  readonly #ended = this.#counter(
    "executions_ended_total",
    "Executions that have ended, by status.",
    "workflow",
    "status",
  );
  readonly #removedEarly = this.#counter(
    "executions_removed_early_total",
    "Finished executions removed before their retention was over, as the store was full.",
  );
  readonly #tasks = new Tally(this.#named("tasks_handed_out_total", "Tasks given to workers."));
  readonly #results = new Tally(
    this.#named("task_results_total", "Results from workers, by outcome."),
    "status",
  );
  readonly #tickets = this.#counter(
    "tickets_total",
    "Tickets for tasks: sent to a broker, or parked as it did not take them.",
    "broker",
    "outcome",
  );
  readonly #ticketCalls = this.#counter(
    "ticket_calls_total",
    "Claims and completions by ticket, by outcome.",
    "call",
    "outcome",
  );
  readonly #queueTickets = new Tally(
    this.#named("queue_tickets_total", "Tickets of the task queue, by what became of them."),
    "event",
  );
  readonly #taskWait = this.#spreads(
    "task_wait_seconds",
    "Time from the moment a task is offered to its hand-out.",
    taskBuckets,
  ).with();
  readonly #taskRun = this.#spreads(
    "task_run_seconds",
    "Time from a task's hand-out to its accepted result.",
    taskBuckets,
  ).with();
  readonly #timers = this.#spreads(
    "timer_lateness_seconds",
    "Time from the deadline of a due item to its handling, by kind.",
    callBuckets,
  );
  readonly #store = this.#spreads(
    "store_call_seconds",
    "Calls of the store, by operation and outcome.",
    callBuckets,
    "operation",
    "outcome",
  );
  readonly #scripts = this.#histogram(
    "script_seconds",
    "Evaluations of scripts, by outcome.",
    callBuckets,
    "outcome",
  );
  readonly #rest = this.#counter(
    "rest_requests_total",
    "REST responses, by route and status.",
    "method",
    "route",
    "status",
  );
  readonly #rpc = this.#counter(
    "rpc_requests_total",
    "RPC responses, by method and status.",
    "method",
    "status",
  );
  readonly #lag = this.#histogram(
    "event_loop_lag_seconds",
    "How late a timer of the process fires.",
    callBuckets,
  );
  readonly #held = this.#histogram(
    "main_thread_held_seconds",
    `Holds of the main thread of more than ${inTime(limits.mainThreadMs)}, by cause.`,
    holdBuckets,
    "kind",
  );

  readonly sources = new SourceMetrics(this.#registry);
  readonly mainThread = new MainThread();
  readonly #storeBy = bound((operation) =>
    bound((outcome) => this.#store.with({ operation, outcome })),
  );
  readonly #timersBy = bound((kind) => this.#timers.with({ kind }));

  constructor() {
    const startedAt = performance.now();
    const upSeconds = () => (performance.now() - startedAt) / 1000;
    this.#gauge("uptime_seconds", "Time since this server started.", upSeconds);
    const heldHelp = "The longest hold of the main thread within the last one to two minutes.";
    this.#gauge("main_thread_held_longest_seconds", heldHelp, () =>
      this.mainThread.longestSeconds(),
    );
    addProcessMetrics(this.#registry);
  }

  removedEarly(count: number): void {
    this.#removedEarly.inc(count);
  }

  executionStarted(workflow: string): void {
    this.#started.inc({ workflow: this.#known(workflow) });
  }

  executionEnded(workflow: string, status: string): void {
    this.#ended.inc({ workflow: this.#known(workflow), status });
  }

  taskHandedOut(waitedMs: number | undefined): void {
    this.#tasks.add();
    if (waitedMs !== undefined) this.#taskWait.add(waitedMs / 1000);
  }

  queueTickets(event: string, count: number): void {
    this.#queueTickets.add(event, count);
  }

  result(status: string): void {
    this.#results.add(status);
  }

  /** `broker`: sqs or kafka. */
  ticketSent(broker: string, outcome: "sent" | "parked"): void {
    this.#tickets.inc({ broker, outcome });
  }

  ticket(call: "claim" | "complete", outcome: string): void {
    this.#ticketCalls.inc({ call, outcome });
  }

  taskRan(ms: number): void {
    this.#taskRun.add(ms / 1000);
  }

  due(kind: string, lateMs: number): void {
    this.#timersBy(kind).add(Math.max(0, lateMs) / 1000);
  }

  /** Returns what to call with the outcome when the operation, which begins now, has ended. */
  timeStoreCall(operation: string): (outcome: string) => void {
    const child = this.#storeBy(operation);
    const startedAt = performance.now();
    return (outcome) => child(outcome).add((performance.now() - startedAt) / 1000);
  }

  script(outcome: string, ms: number): void {
    this.#scripts.observe({ outcome }, ms / 1000);
  }

  /** `route` is a pattern of the table of routes, never what a caller wrote. */
  restRequest(method: string, route: string, status: number): void {
    this.#rest.inc({ method, route, status });
  }

  rpcRequest(method: string, status: string): void {
    this.#rpc.inc({ method, status });
  }

  read(readings: Readings): void {
    this.#gauge("parked_polls", "Polls that wait for tasks.", readings.parkedPolls);
    this.#gauge("mailboxes", "Executions with events to process.", readings.mailboxes);
    const waitingHelp =
      "Scripts that wait for a process of this server, or in the store as far as known.";
    this.#gauge("scripts_waiting", waitingHelp, readings.waitingScripts);
    const help = "Broken executions that the sweeper has repaired; must stay 0.";
    this.#read("repairs_total", help, readings.repairs);
  }

  readStoreLog(read: () => number): void {
    const help = "Length of the part of the store's write-ahead log that must be kept.";
    this.#gauge("store_log_bytes", help, read);
  }

  /** Returns what to call with each request to DynamoDB that has ended. */
  countDynamo(): (operation: string, outcome: string, units: number) => void {
    const requests = this.#counter(
      "dynamodb_requests_total",
      "Requests to DynamoDB, each attempt, by operation and outcome: ok or the code of its error.",
      "operation",
      "outcome",
    );
    const consumed = this.#counter(
      "dynamodb_capacity_units_total",
      "Capacity units that requests to DynamoDB consumed, by operation.",
      "operation",
    );
    const requestsOf = bound((operation) =>
      bound((outcome) => requests.labels({ operation, outcome })),
    );
    const consumedOf = bound((operation) => consumed.labels({ operation }));
    return (operation, outcome, units) => {
      requestsOf(operation)(outcome).inc();
      if (units > 0) consumedOf(operation).inc(units);
    };
  }

  readTraces(counts: { readonly sent: number; readonly dropped: number }): void {
    const help = "Spans that the collector has accepted.";
    this.#read("trace_spans_sent_total", help, () => counts.sent);
    const droppedHelp =
      "Spans dropped because the collector was slow, unreachable or refused them.";
    this.#read("trace_spans_dropped_total", droppedHelp, () => counts.dropped);
  }

  /** Begins to measure the event loop; returns how to stop. */
  watchLoop(clock: Clock, log: Logger): () => void {
    return this.mainThread.watch({
      clock,
      log,
      onBlocked: (kind, ms) => this.#held.observe({ kind }, ms / 1000),
      onLate: (ms) => this.#lag.observe(ms / 1000),
    });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** What each metric is, for the document that lists them. */
  async describe(): Promise<{ name: string; help: string; type: string; labels: string[] }[]> {
    const all = await this.#registry.getMetricsAsJSON();
    return all.map(({ name, help, type }) => {
      // The library does not declare this member.
      const metric = this.#registry.getSingleMetric(name) as { labelNames?: readonly string[] };
      return { name, help, type: String(type), labels: [...(metric.labelNames ?? [])] };
    });
  }

  /** The first names, up to a bound; the others share one. */
  #known(workflow: string): string {
    if (this.#workflows.has(workflow)) return workflow;
    if (this.#workflows.size >= limits.metricWorkflowsMax) return "other";
    this.#workflows.add(workflow);
    return workflow;
  }

  #named(name: string, help: string) {
    return { name: `orchy_${name}`, help, registry: this.#registry };
  }

  #spreads(name: string, help: string, bounds: readonly number[], ...labelNames: string[]) {
    return new Spreads(this.#named(name, help), bounds, labelNames);
  }

  #counter(name: string, help: string, ...labelNames: string[]) {
    const registers = [this.#registry];
    return new Counter({ name: `orchy_${name}`, help, labelNames, registers });
  }

  #histogram(name: string, help: string, buckets: number[], ...labelNames: string[]) {
    const registers = [this.#registry];
    return new Histogram({ name: `orchy_${name}`, help, buckets, labelNames, registers });
  }

  /** A counter that somebody else keeps. */
  #read(name: string, help: string, read: () => number): void {
    const counter = new Counter({
      name: `orchy_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        counter.reset();
        counter.inc(read());
      },
    });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `orchy_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/** Makes the child of each label value once. */
function bound<Child>(make: (value: string) => Child): (value: string) => Child {
  const children = new Map<string, Child>();
  return (value) => {
    let child = children.get(value);
    if (child === undefined) {
      child = make(value);
      children.set(value, child);
    }
    return child;
  };
}
