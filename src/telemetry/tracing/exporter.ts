/**
 * Sends spans to a collector over OTLP/HTTP, in batches, beside everything else. What waits is
 * bounded: when the collector is slow or away, further spans are dropped and counted, and nothing
 * waits for it, not even the end of the server for longer than limits.traceFlushMs.
 */
import { inTime } from "../../base/amount.ts";
import { type Clock, within } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../log.ts";
import { Outage } from "../outage.ts";
import { type Attributes, exportRequest, type Span } from "./otlp.ts";

/** Spans of one request to it. */
const traceBatchMax = 256;
/** Time for which a request collects spans. */
const traceBatchMs = 1_000;

interface ExporterOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: Attributes;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
}

type Sent = "sent" | "refused" | "failed";

/** Other statuses than these will be the same the next time. */
const passing: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #outage: Outage;
  readonly #stopping = new AbortController();
  #queue: Span[] = [];
  #cancelTimer: (() => void) | undefined;
  #sending: Promise<void> | undefined;
  #failures = 0;
  #stopped = false;
  sent = 0;
  dropped = 0;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#outage = new Outage("The collector of traces", options);
  }

  add(span: Span): void {
    if (this.#stopped || this.#queue.length >= limits.traceQueueMax) {
      this.dropped += 1;
      return;
    }
    this.#queue.push(span);
    // After a failure it is the pause that decides, however much waits.
    const isFull = this.#queue.length >= traceBatchMax && this.#failures === 0;
    this.#schedule(isFull ? 0 : traceBatchMs);
  }

  #schedule(ms: number): void {
    if (this.#sending !== undefined || this.#stopped) return;
    if (ms > 0 && this.#cancelTimer !== undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(ms, () => this.#send());
  }

  #send(): void {
    this.#cancelTimer = undefined;
    this.#sending = this.#sendBatch().finally(() => {
      this.#sending = undefined;
      if (this.#queue.length > 0) this.#schedule(this.#pauseMs());
    });
  }

  #pauseMs(): number {
    if (this.#failures > 0) {
      return Math.min(limits.traceRetryMsMax, traceBatchMs * 2 ** (this.#failures - 1));
    }
    return this.#queue.length >= traceBatchMax ? 0 : traceBatchMs;
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#queue.slice(0, traceBatchMax);
    const outcome = await this.#post(batch);
    if (outcome === "failed") {
      this.#failures += 1;
      return;
    }
    this.#failures = 0;
    this.#queue = this.#queue.slice(batch.length);
    if (outcome === "sent") this.sent += batch.length;
    else this.dropped += batch.length;
  }

  async #post(batch: readonly Span[]): Promise<Sent> {
    const { url, headers, resource, version, clock } = this.#options;
    const late = new AbortController();
    const cancel = clock.after(limits.traceSendMs, () =>
      late.abort(new Error(`No response within ${inTime(limits.traceSendMs)}.`)),
    );
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: exportRequest(resource, { name: "orchy", version }, batch),
        signal: AbortSignal.any([late.signal, this.#stopping.signal]),
      });
      await response.arrayBuffer();
      if (response.ok) {
        this.#outage.succeeded();
        return "sent";
      }
      this.#outage.failed(new Error(`It returned the status ${response.status}.`));
      return passing.has(response.status) ? "failed" : "refused";
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#outage.failed(error);
      return "failed";
    } finally {
      cancel();
    }
  }

  /** Sends what is left, as far as that goes within a short time. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await within(limits.traceFlushMs, this.#flush(), this.#options.clock);
    this.#stopping.abort();
    this.dropped += this.#queue.length;
    this.#queue = [];
  }

  async #flush(): Promise<void> {
    await this.#sending;
    const failuresBefore = this.#failures;
    while (this.#queue.length > 0 && this.#failures <= failuresBefore) await this.#sendBatch();
  }
}
