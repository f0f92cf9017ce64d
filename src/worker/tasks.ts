/**
 * The tasks that this worker holds: runs their handlers, and stops them when the server says so.
 */

import { inBytes } from "../base/amount.ts";
import { limits } from "../base/limits.ts";
import type { Task } from "../gen/orchy/v1/worker_pb.ts";
import {
  failureOf,
  jsonValue,
  messageOf,
  NonRetryableError,
  read,
  type StopReason,
  TaskStopped,
} from "./errors.ts";
import { type FailureLog, placeOf } from "./failure-log.ts";
import type { Outbox } from "./outbox.ts";

/** What a handler gets besides the input: ids, attempt, a signal to stop, heartbeats. */
export interface TaskContext {
  readonly executionId: string;
  readonly workflow: string;
  /** The action's id in the workflow, as text. */
  readonly actionId: string;
  /** Name of the action. */
  readonly action: string;
  /** From 1. */
  readonly attempt: number;
  /** End of this attempt, by the server's clock. */
  readonly deadline: Date;
  /** Aborted, with a TaskStopped, when the result is no longer needed. */
  readonly signal: AbortSignal;
  readonly correlationId: string | undefined;
  /** W3C traceparent. */
  readonly traceContext: string | undefined;
  /** W3C tracestate. */
  readonly traceState: string | undefined;
  /** Index of the item that the task is for, from 0, if it is for one of a map. */
  readonly index: number | undefined;
  /** That item; undefined if it is larger than 64 KiB and not the input itself. */
  readonly item: unknown;
  /** What has started the execution, if it is a child. */
  readonly parent: TaskParent | undefined;
  /** The parameters exactly as sent: integers beyond 2^53 keep their digits. */
  readonly parametersText: string;
  /** Heartbeats go out by themselves; this one shows `progress` (JSON) with the running action. */
  readonly heartbeat: (progress?: unknown) => void;
}

/** The action of another execution that has started the one of a task. */
export interface TaskParent {
  readonly executionId: string;
  readonly actionId: string;
  /** Where the action is a map: the index of the item, from 0. */
  readonly index: number | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a handler knows what its action's input is.
export type Handler = (input: any, context: TaskContext) => unknown;

/** Sends a heartbeat soon, with the progress (JSON text) if there is any. */
type SendHeartbeat = (token: string, progressJson: string | undefined) => void;

function parentOf(task: Task): TaskParent | undefined {
  const { parentExecutionId: executionId, parentActionId: actionId, parentIndex: index } = task;
  return executionId === "" ? undefined : { executionId, actionId, index };
}

class RunningTask implements TaskContext {
  readonly executionId: string;
  readonly workflow: string;
  readonly actionId: string;
  readonly action: string;
  readonly attempt: number;
  readonly correlationId: string | undefined;
  readonly traceContext: string | undefined;
  readonly traceState: string | undefined;
  readonly index: number | undefined;
  readonly parent: TaskParent | undefined;
  readonly parametersText: string;
  readonly heartbeat: (progress?: unknown) => void;
  readonly token: string;
  stopped: StopReason | undefined;
  private readonly deadlineMs: number;
  private readonly itemText: string | undefined;
  private controller: AbortController | undefined;

  constructor(task: Task, beat: SendHeartbeat) {
    this.token = task.token;
    this.executionId = task.executionId;
    this.workflow = task.workflow;
    this.actionId = task.actionId;
    this.action = task.action;
    this.attempt = task.attempt;
    this.deadlineMs = Number(task.deadlineMs);
    this.correlationId = task.correlationId === "" ? undefined : task.correlationId;
    this.traceContext = task.traceContext === "" ? undefined : task.traceContext;
    this.traceState = task.traceState === "" ? undefined : task.traceState;
    this.parametersText = textOf(task.parametersJson);
    this.index = task.index;
    if (task.index !== undefined) this.itemText = textOf(task.itemJson) || this.parametersText;
    this.parent = parentOf(task);
    this.heartbeat = (progress) => beat(task.token, progressJson(progress));
  }

  get deadline(): Date {
    return new Date(this.deadlineMs);
  }

  get item(): unknown {
    return this.itemText === undefined ? undefined : JSON.parse(this.itemText);
  }

  /** Made on first use: most handlers never need it. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.stopped !== undefined) this.controller.abort(new TaskStopped(this.stopped));
    }
    return this.controller.signal;
  }

  stop(reason: StopReason): void {
    if (this.stopped === "cancelled" || this.stopped === "stale") return;
    this.stopped = reason;
    this.controller?.abort(new TaskStopped(reason));
  }

  /** The result is not needed. */
  get lost(): boolean {
    return this.stopped !== undefined && this.stopped !== "deadline";
  }
}

interface TasksOptions {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly outbox: Outbox;
  readonly beat: SendHeartbeat;
  readonly failures: FailureLog;
}

export class Tasks {
  private readonly handlers: ReadonlyMap<string, Handler>;
  private readonly outbox: Outbox;
  private readonly beat: SendHeartbeat;
  private readonly failures: FailureLog;
  private readonly running = new Map<string, RunningTask>();
  private idled: (() => void)[] = [];

  constructor({ handlers, outbox, beat, failures }: TasksOptions) {
    this.handlers = handlers;
    this.outbox = outbox;
    this.beat = beat;
    this.failures = failures;
  }

  /** Resolves when the handler has ended; never throws. The result is in the outbox by then. */
  async run(task: Task): Promise<void> {
    const running = new RunningTask(task, this.beat);
    this.running.set(task.token, running);
    const result = { token: task.token, place: placeOf(running) };
    try {
      const output: unknown = await this.handlers.get(task.action)!(
        JSON.parse(running.parametersText),
        running,
      );
      if (!running.lost) this.outbox.addOutput(result, outputJson(output));
    } catch (thrown) {
      if (!isExpectedEnd(running, thrown)) this.failures.failed(running, thrown);
      if (!running.lost) this.outbox.addFailure(result, failureOf(thrown));
    }
    this.running.delete(task.token);
    if (this.running.size === 0) for (const call of this.idled.splice(0)) call();
  }

  stop(token: string, reason: StopReason): void {
    this.running.get(token)?.stop(reason);
  }

  /** Gives up all that still run, and returns their tokens. */
  abandon(): string[] {
    const tokens: string[] = [];
    for (const task of this.running.values()) {
      if (!task.lost) tokens.push(task.token);
      task.stop("stopping");
    }
    return tokens;
  }

  /** Resolves when no handler runs. */
  idle(): Promise<void> {
    if (this.running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idled.push(resolve));
  }
}

/** A handler whose task was taken away, and that ended because of it. */
function isExpectedEnd(task: RunningTask, thrown: unknown): boolean {
  return task.lost && (thrown instanceof TaskStopped || read(thrown, "name") === "AbortError");
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") || "{}";
}

function outputJson(output: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = output === undefined ? "null" : (JSON.stringify(output) as string | undefined);
  } catch (error) {
    throw new NonRetryableError("OUTPUT_NOT_JSON", `the output is no JSON: ${messageOf(error)}`);
  }
  if (text === undefined) {
    throw new NonRetryableError("OUTPUT_NOT_JSON", `the output is no JSON: a ${typeof output}`);
  }
  const bytes = Buffer.from(text);
  const { payloadBytesMax } = limits;
  if (bytes.byteLength > payloadBytesMax) {
    const sizes = `${bytes.byteLength} bytes of JSON, at most ${payloadBytesMax} are allowed`;
    throw new NonRetryableError("OUTPUT_TOO_LARGE", `the output has ${sizes}`);
  }
  return bytes;
}

function progressJson(progress: unknown): string | undefined {
  if (progress === undefined) return undefined;
  const text = JSON.stringify(progress) as string | undefined;
  if (text === undefined)
    throw new TypeError("The progress cannot be written as JSON. Pass plain data.");
  if (Buffer.byteLength(text) > limits.progressBytesMax) {
    throw new TypeError(`The progress has more than ${inBytes(limits.progressBytesMax)} of JSON.`);
  }
  // Here, where the handler gets the error, not where the heartbeat is sent.
  if (jsonValue(text, limits.progressBytesMax) === undefined) {
    throw new TypeError("The progress is nested too deep.");
  }
  return text;
}
