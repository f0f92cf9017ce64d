/**
 * Results of finished tasks, from the end of the handler until a server has acknowledged them: what
 * was sent without an answer is sent again, so none is lost with a connection.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { limits } from "../base/limits.ts";
import {
  type Failure,
  FailureSchema,
  type ResultAnswer,
  ResultStatus,
  type TaskResult,
  TaskResultSchema,
} from "../gen/orchy/v1/worker_pb.ts";
import { backoffMs } from "./backoff.ts";

/** The task that a result is of. */
interface ResultSource {
  readonly token: string;
  /** Names the task in the log. */
  readonly place: string;
}

export interface PendingResult extends ResultSource {
  readonly result: TaskResult;
  readonly bytes: number;
  /** How often the server said RETRY. */
  retries: number;
  /** Made because the server refused the handler's own result. */
  readonly replacement: boolean;
}

/** Room for the rest of a request: action names, queues, the frame around each result. */
const otherBytesMax = 1024 * 1024;
const batchBytesMax = limits.requestBytesMax - otherBytesMax;
const frameBytes = 16;

interface OutboxEvents {
  /** Something is to be sent. */
  onReady(): void;
  /** These need no more heartbeats. */
  onSettled(tokens: readonly string[]): void;
  onRefused(place: string, reason: string): void;
}

/** Results until a server has acknowledged them. */
export class Outbox {
  private readonly events: OutboxEvents;
  private waiting: PendingResult[] = [];
  private unanswered = 0;
  private emptied: (() => void)[] = [];

  constructor(events: OutboxEvents) {
    this.events = events;
  }

  /** Ready to be sent now. */
  get ready(): number {
    return this.waiting.length;
  }

  addOutput({ token, place }: ResultSource, outputJson: Uint8Array): void {
    const result = create(TaskResultSchema, { token, outputJson });
    const bytes = outputJson.byteLength;
    this.add({ token, place, result, bytes, retries: 0, replacement: false });
  }

  addFailure({ token, place }: ResultSource, failure: Failure, replacement = false): void {
    const result = create(TaskResultSchema, { token, failure });
    const bytes = toBinary(FailureSchema, failure).byteLength;
    this.add({ token, place, result, bytes, retries: 0, replacement });
  }

  /**
   * The oldest results that fit one request, no more than `most`; each comes back through settle()
   * or giveBack().
   */
  take(most: number): PendingResult[] {
    const countMax = Math.min(most, limits.resultsPerCallMax);
    let bytes = 0;
    let count = 0;
    for (const next of this.waiting) {
      bytes += next.bytes + next.token.length + frameBytes;
      if (count > 0 && (bytes > batchBytesMax || count === countMax)) break;
      count += 1;
    }
    return this.waiting.splice(0, count);
  }

  /** Without an answer: to be sent again, before what is newer. */
  giveBack(batch: readonly PendingResult[]): void {
    if (batch.length === 0) return;
    this.waiting.unshift(...batch);
    this.events.onReady();
  }

  settle(batch: readonly PendingResult[], answers: readonly ResultAnswer[]): void {
    if (batch.length === 0) return;
    const settled: string[] = [];
    batch.forEach((pending, index) => {
      const answer = answers[index];
      const status = answer?.status ?? ResultStatus.RETRY;
      if (status === ResultStatus.RETRY || status === ResultStatus.UNSPECIFIED) {
        this.retryLater(pending);
        return;
      }
      if (status === ResultStatus.INVALID) {
        this.events.onRefused(pending.place, answer?.message ?? "");
      }
      if (status === ResultStatus.INVALID && !pending.replacement) {
        this.unanswered -= 1;
        const message = `the server refused the result: ${answer?.message ?? ""}`;
        const failure = create(FailureSchema, {
          code: "RESULT_REFUSED",
          message,
          retryable: false,
        });
        this.addFailure(pending, failure, true);
        return;
      }
      settled.push(pending.token);
    });
    if (settled.length === 0) return;
    this.unanswered -= settled.length;
    this.events.onSettled(settled);
    if (this.unanswered === 0) for (const call of this.emptied.splice(0)) call();
  }

  /** Resolves when each result was acknowledged. */
  empty(): Promise<void> {
    if (this.unanswered === 0) return Promise.resolve();
    return new Promise((resolve) => this.emptied.push(resolve));
  }

  private add(pending: PendingResult): void {
    this.unanswered += 1;
    this.waiting.push(pending);
    this.events.onReady();
  }

  private retryLater(pending: PendingResult): void {
    pending.retries += 1;
    setTimeout(() => this.giveBack([pending]), backoffMs(pending.retries));
  }
}
