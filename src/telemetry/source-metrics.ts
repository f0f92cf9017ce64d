/** Metrics of sources. Their names are labels: there are at most `limits.sourcesMax`. */
import { Counter, Gauge, type Registry } from "prom-client";

type Lag = readonly [source: string, lag: number | undefined];

export class SourceMetrics {
  readonly #registry: Registry;
  readonly #messages: Counter;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#messages = new Counter({
      name: "orchy_source_messages_total",
      help: "Messages of sources by outcome: started, signalled, duplicate, dead; failed counts tries.",
      labelNames: ["source", "outcome"],
      registers: [registry],
    });
  }

  message(source: string, outcome: string): void {
    this.#messages.inc({ source, outcome });
  }

  /** Of those that this server reads; undefined: the broker does not say. */
  readLag(read: () => readonly Lag[]): void {
    const lag = new Gauge({
      name: "orchy_source_lag",
      help: "Messages that wait in the topic or queue of a source that this server reads.",
      labelNames: ["source"],
      registers: [this.#registry],
      collect() {
        lag.reset();
        for (const [source, count] of read()) if (count !== undefined) lag.set({ source }, count);
      },
    });
  }
}
