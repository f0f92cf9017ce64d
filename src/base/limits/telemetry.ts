/** Metrics, traces, and what is logged of the main thread. */
export const telemetryLimits = {
  // Metrics and the log.
  /** Workflows with their own value of the label `workflow`. */
  metricWorkflowsMax: 100,
  /** Time on the main thread beyond which an operation is counted and logged. */
  mainThreadMs: 50,

  // Traces: what waits for the collector, and how long it is waited for.
  /** Spans that wait for the collector. */
  traceQueueMax: 8_192,
  /** Time that a request may take. */
  traceSendMs: 10_000,
  /** Longest pause before it is repeated. */
  traceRetryMsMax: 30_000,
  /** Time for which a server that stops waits for the collector. */
  traceFlushMs: 1_000,
} as const;
