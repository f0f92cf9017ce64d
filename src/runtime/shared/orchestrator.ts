/**
 * What the edge calls: everything Orchy can do, as one interface. REST, the worker service and the
 * legacy wire are thin translations of it. Refusals are thrown as OrchyError; payloads are text.
 */
import type { Problem } from "../../base/errors.ts";
import type { ParentLink } from "../../model/child.ts";
import type { ActionDefinition, WorkflowDefinition } from "../../model/definition.ts";
import type { HistoryEntry } from "../../model/entry.ts";
import type { ByHand, OperationRequest, TaskOutcome } from "../../model/event.ts";
import type {
  ActionRecord,
  ActionStatus,
  AttemptRecord,
  ExecutionStatus,
  Failure,
  MapProgress,
} from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";
import type { SignalSent } from "../../model/message.ts";
import type { Listing, QueueStats } from "../../store/store.ts";
import type { ExecutionExplanation, QueueExplanation, WorkerCount } from "./explanation.ts";
import type { PolledTask } from "./polled-task.ts";
import type { SaveActionOptions, SavedAction } from "./saved-action.ts";
import type { SourceService } from "./source-service.ts";
import type { TicketDesk } from "./tickets.ts";

/** A save: which version has the content now. */
export interface SavedWorkflow {
  readonly name: string;
  readonly version: number;
  /** False: the newest version has the same content, and is returned. */
  readonly created: boolean;
  readonly warnings: readonly Problem[];
}

/** What lists show: definitions are large, and read one by one. */
export interface WorkflowSummary {
  readonly name: string;
  readonly version: number;
  readonly savedAt: number;
}

export interface WorkflowVersion extends WorkflowSummary {
  /** As it was sent, with `version` set. */
  readonly definition: WorkflowDefinition;
}

/** A start; the input is JSON text of at most limits.payloadBytesMax bytes. */
export interface StartRequest {
  readonly workflow: string;
  readonly version?: number;
  readonly input: JsonText;
  readonly executionId?: string;
  readonly correlationId?: string;
  readonly idempotencyKey?: string;
  readonly priority?: number;
  /** Delivered as part of the start: it is there before any wait opens. */
  readonly signal?: { readonly event: string; readonly payload: JsonText };
  /** W3C traceparent and tracestate of the request. */
  readonly traceContext?: string;
  readonly traceState?: string;
}

/** A started execution, or the one that an equal start has made before. */
export interface ForkRequest extends ByHand {
  readonly id: string;
  /** Key of the action before which the fork begins. */
  readonly action: string;
  readonly version?: number;
  /** In place of what actions that are taken over have put out, by their keys. */
  readonly outputs: ReadonlyMap<string, JsonText>;
  readonly executionId?: string;
  readonly operationId?: string;
  readonly traceContext?: string;
  readonly traceState?: string;
}

export interface StartAnswer {
  readonly id: string;
  /** False: an earlier start with the same key or id, and the same content. */
  readonly created: boolean;
  readonly status: ExecutionStatus;
  /** It has been deleted since: only how it ended is known. */
  readonly deleted?: true;
  readonly endedAt?: number;
}

/** One action of an execution as people read it. Moments are milliseconds since the epoch. */
export interface ActionView {
  /** As written in the definition. */
  readonly id: number | string;
  readonly key: string;
  readonly type: "user" | "system";
  readonly name: string;
  readonly status: ActionStatus;
  /** Its task waits, and no worker that can be given it polls. */
  readonly unpolled?: true;
  /** Its task waits, and fits no Struct: a worker that takes JSON is needed. */
  readonly waitingFor?: "json";
  readonly skippedBy?: ActionRecord["skippedBy"];
  /** The failed actions because of which it was skipped, as far as they are named. */
  readonly causes?: readonly (number | string)[];
  readonly route?: string;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly dueAt?: number;
  readonly events?: readonly string[];
  /** The execution that it has started; the last one. */
  readonly child?: string;
  /** Of a loop: how many rounds have ended. */
  readonly rounds?: number;
  readonly failure?: Failure;
  /** Maps: how many items there are, and how many of them are open or have ended. */
  readonly items?: Pick<MapProgress, "count" | "open" | "completed" | "failed">;
  /** Finished attempts, then the open one if it is leased. */
  readonly attempts: readonly (Omit<AttemptRecord, "endedAt" | "nonce"> & {
    readonly endedAt?: number;
    readonly leaseUntil?: number;
    /** When its worker was last heard, and what it said then, as far as this server knows. */
    readonly heartbeatAt?: number;
    readonly progress?: JsonText;
  })[];
}

/** An execution as people read it; its data is read while it is sent. */
export interface ExecutionView extends Listing {
  readonly run: number;
  readonly pausedAt?: number;
  readonly failure?: Failure;
  readonly cancelReason?: string;
  /** Which action of its parent has started it. */
  readonly parentLink?: ParentLink;
  readonly actions: readonly ActionView[];
  /** Its text, read when it is requested. */
  readonly input: () => AsyncIterable<JsonText>;
  /**
   * The outputs of its actions by their keys, a few at a time, in the order of `actions`: together
   * they may be more than memory has. Those that are undefined are not there.
   */
  readonly outputs: () => AsyncIterable<
    readonly (readonly [key: string, output: JsonText | undefined])[]
  >;
  /** Its text, piece by piece. Set when COMPLETED. */
  readonly result?: AsyncIterable<JsonText>;
  /** Events received that no wait has consumed. */
  readonly bufferedSignals: readonly string[];
}

/** The status of an execution, and its result or failure once it has ended. */
/** One item of a map. */
export interface ItemView {
  /** From 0. */
  readonly index: number;
  readonly status: ActionStatus;
  /** Number of its open or last attempt. */
  readonly attempt?: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly dueAt?: number;
  /** Id of its open or last child. */
  readonly child?: string;
  readonly output?: JsonText;
  /** Text of a Failure, as its numbers are exact. */
  readonly failure?: JsonText;
}

export interface ItemsRequest {
  readonly id: string;
  readonly actionKey: string;
  readonly status?: ActionStatus;
  readonly limit: number;
  /** Index of the last item of the page before. */
  readonly cursor?: string;
}

export interface ExecutionResult {
  readonly id: string;
  readonly status: ExecutionStatus;
  /** Text, or its pieces where it is made of many outputs. */
  readonly result?: JsonText | AsyncIterable<JsonText>;
  readonly failure?: Failure;
}

export interface SignalAnswer {
  readonly outcome: "accepted" | "duplicate";
  /** Whether an action took it, or it is kept for one; absent: a duplicate. */
  readonly delivery?: "delivered" | "buffered";
  /** Why it may stay buffered. */
  readonly warning?: string;
}

/** What became of a signal by correlationId at one execution. */
export interface SignalledExecution {
  readonly executionId: string;
  readonly outcome: SignalSent["outcome"] | "duplicate";
  readonly delivery?: "delivered" | "buffered";
}

/** Filters of a list, all of which must hold, and the page. */
export interface ListExecutions {
  readonly workflow?: string;
  readonly status?: ExecutionStatus;
  readonly correlationId?: string;
  /** The children of one execution. */
  readonly parent?: string;
  readonly startedAfter?: number;
  readonly startedBefore?: number;
  readonly limit: number;
  readonly cursor?: string;
}

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque; absent on the last page. */
  readonly cursor?: string;
  /** The search was ended at its bound before the page was full; it goes on with the cursor. */
  readonly incomplete?: boolean;
}

/** The outcome of an attempt, under the token of its lease. */
export interface ResultSent {
  readonly token: string;
  readonly outcome: TaskOutcome;
}

/** The sign of life of an attempt; `progress` is JSON text. */
export interface HeartbeatSent {
  readonly token: string;
  readonly progress?: JsonText;
}

/** `retry`: it could not be stored now, send it again; `stale`: the lease is no longer held. */
export type ResultAnswerType = "accepted" | "duplicate" | "stale" | "retry";

/** A poll of a worker: its results are settled first, then it waits for tasks. */
export interface PollRequest {
  readonly actions: readonly string[];
  readonly queues: readonly string[];
  readonly maxTasks: number;
  readonly waitMs: number;
  readonly workerId: string;
  readonly heartbeats: boolean;
  /** For workers that send none: how long they keep a task; absent: for its whole attempt. */
  readonly leaseMs?: number;
  /** Parameters are written as `google.protobuf.Struct`: what fits none is left for others. */
  readonly structOnly?: boolean;
  readonly results: readonly ResultSent[];
  /** Of the server's own worker: not listed, and not counted among those that wait. */
  readonly isInner?: boolean;
  /** The caller has gone: what it was given goes back at once. */
  readonly abort?: AbortSignal;
}

/** The legacy wire carries no token: its results name the lease by the task's hand-out number. */
export interface HandoutResult {
  readonly executionId: string;
  /** Must be the execution's; otherwise stale. */
  readonly workflow: string;
  readonly handout: number;
  /** The task's `actionNumber`, when the worker sent one; another one is stale. */
  readonly actionNumber?: number;
  readonly outcome: TaskOutcome;
  readonly workerId: string;
  /** Throws when the caller may not settle tasks of this action. */
  readonly admit?: (action: string) => void;
}

/** What a poll got; `results` in the order of those that were sent. */
export interface PollAnswer {
  readonly tasks: readonly PolledTask[];
  readonly results: readonly ResultAnswerType[];
  readonly draining: boolean;
  /** Tokens of tasks that this worker was given and that are cancelled. */
  readonly cancelled: readonly string[];
}

export interface WorkerView {
  readonly id: string;
  readonly actions: readonly string[];
  readonly queues: readonly string[];
  readonly lastSeenAt: number;
}

export interface WorkersView {
  readonly workers: readonly WorkerView[];
  /** How many more do not fit into one answer. */
  readonly leftOut: number;
}

export interface ServerView {
  readonly id: string;
  readonly name: string;
  /** Where workers reach its gRPC port: host:port. */
  readonly grpcAddress: string;
  /** The separate port of legacy workers; absent: none. */
  readonly legacyAddress?: string;
  readonly httpAddress: string;
  readonly startedAt: number;
  readonly version: string;
  /** The newest format of stored records that it reads; absent: the oldest. */
  readonly format?: number;
}

/** What a server sends the others with each beat, besides its identity. */
export interface ServerBeat extends ServerView {
  /** Queues for JSON whose tasks wait, while only polls for Struct come to it. */
  readonly wants?: readonly string[];
  /** Of those that others want taken: workers of this server take them. */
  readonly sees?: readonly string[];
}

/** An action and its tasks, over all queues and in each. */
export interface ActionStats extends Omit<QueueStats, "queue" | "leased"> {
  /** Of an unregistered action: its name alone. */
  readonly definition: ActionDefinition;
  readonly registered: boolean;
  /** Absent: the store does not count them. */
  readonly running?: number;
  readonly queues: readonly QueueOfAction[];
}

export interface QueueOfAction extends QueueStats {
  readonly workers: WorkerCount;
}

/** Whether the server takes work, with a sentence for each check. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly message: string }>>;
}

/** All operations. They throw OrchyError; faults of the store come as its codes. */
export interface Orchestrator extends TicketDesk {
  /** `lenient`: unknown fields become warnings (the legacy routes). */
  saveWorkflow(definition: unknown, options: { lenient: boolean }): Promise<SavedWorkflow>;
  validateWorkflow(definition: unknown): Promise<{ readonly warnings: readonly Problem[] }>;
  getWorkflow(name: string, version?: number): Promise<WorkflowVersion>;
  listWorkflows(page: { limit: number; cursor?: string }): Promise<Page<WorkflowSummary>>;
  listVersions(
    name: string,
    page: { limit: number; cursor?: string },
  ): Promise<Page<{ readonly version: number; readonly savedAt: number }>>;
  deleteWorkflow(name: string): Promise<void>;

  /** Accepts the fields in camel or snake case; refuses what is wrong with all problems. */
  saveAction(definition: unknown, options: SaveActionOptions): Promise<SavedAction>;
  getAction(name: string): Promise<ActionStats>;
  listActions(page: { limit: number; cursor?: string }): Promise<Page<ActionStats>>;

  start(request: StartRequest): Promise<StartAnswer>;
  /** Not read, and UNAVAILABLE, if the caller is gone when its turn comes. */
  getExecution(id: string, abort?: AbortSignal): Promise<ExecutionView>;
  /** The text of one value of its data, by the path of a reference. */
  readData(id: string, path: string, abort?: AbortSignal): Promise<JsonText>;
  executionStatus(id: string): Promise<ExecutionStatus>;
  /** Not read, and UNAVAILABLE, if the caller is gone when its turn comes. */
  listExecutions(request: ListExecutions, abort?: AbortSignal): Promise<Page<Listing>>;
  /** The items of a map, by index. NOT_FOUND where the action is no map. */
  listItems(request: ItemsRequest): Promise<Page<ItemView>>;
  history(id: string, page: { limit: number; cursor?: string }): Promise<Page<HistoryEntry>>;
  /** What the execution waits for, and what would move it. */
  explainExecution(id: string, abort?: AbortSignal): Promise<ExecutionExplanation>;
  /** Why the tasks of a queue are, or are not, under way. */
  explainQueue(queue: string, abort?: AbortSignal): Promise<QueueExplanation>;
  /** Resolves when the execution has ended, the time is up, or the caller is gone. */
  waitForResult(id: string, waitMs: number, abort?: AbortSignal): Promise<ExecutionResult>;
  /**
   * Calls back with each entry of the history beyond the sequence `after`, those that are there and
   * those that come; ends after the execution has ended.
   */
  watch(request: {
    readonly id: string;
    readonly after: number;
    readonly listener: (entry: HistoryEntry) => void;
    /** What has happened may be long: it waits until the listener has room for more of it. */
    readonly drained: () => Promise<void> | undefined;
    readonly abort: AbortSignal;
  }): Promise<void>;
  /** `workflow`, when given, must be the execution's; otherwise NOT_FOUND. */
  signal(request: {
    readonly id: string;
    readonly workflow?: string;
    readonly event: string;
    readonly payload: JsonText;
    readonly signalId?: string;
  }): Promise<SignalAnswer>;
  /** To all open executions of a correlationId that wait for the event; NOT_FOUND: none does. */
  signalAll(request: {
    readonly correlationId: string;
    readonly event: string;
    readonly payload: JsonText;
    readonly signalId?: string;
  }): Promise<readonly SignalledExecution[]>;
  /** Returns the status that follows. */
  operate(
    request: OperationRequest &
      ByHand & {
        readonly id: string;
        readonly workflow?: string;
        readonly operationId?: string;
      },
  ): Promise<ExecutionStatus>;
  /** Returns the new execution. */
  fork(request: ForkRequest): Promise<StartAnswer>;
  /** Finished executions only. */
  deleteExecution(id: string): Promise<void>;

  poll(request: PollRequest): Promise<PollAnswer>;
  complete(results: readonly ResultSent[], workerId: string): Promise<readonly ResultAnswerType[]>;
  heartbeat(
    beats: readonly HeartbeatSent[],
  ): Promise<readonly ("extended" | "stale" | "cancelled")[]>;
  release(tokens: readonly string[]): Promise<readonly ("released" | "stale")[]>;
  /** The names of the actions that these tokens lease tasks of; undefined where it is gone. */
  actionNames(tokens: readonly string[]): Promise<readonly (string | undefined)[]>;
  /**
   * Settles the task that holds this hand-out, whichever server leased it. Once a result has ended
   * it, every further one is a duplicate.
   */
  completeByHandout(result: HandoutResult): Promise<ResultAnswerType>;

  readonly sources: SourceService;
  workers(): WorkersView;
  servers(): Promise<readonly ServerView[]>;
  readiness(): Promise<Readiness>;
  /** Why only a restart helps; undefined: it does not need one. */
  broken(): string | undefined;
}
