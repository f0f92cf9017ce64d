/**
 * The control state of an execution. It is small and rewritten by every commit; what grows (input,
 * outputs, signal payloads, records of large workflows) lives in data fields beside it.
 */
import type { ParentLink } from "./child.ts";
import type { JsonText } from "./json.ts";

type OpenStatus = "RUNNING" | "PAUSED";
/** `PAUSED` is open too: nothing new starts. The others are final. */
export type ExecutionStatus = OpenStatus | "COMPLETED" | "FAILED" | "TIMED_OUT" | "CANCELLED";

/** All of them, in the order in which documents list them. */
export const executionStatuses: readonly ExecutionStatus[] = [
  "RUNNING",
  "PAUSED",
  "COMPLETED",
  "FAILED",
  "TIMED_OUT",
  "CANCELLED",
];

/** Whether the execution has not ended. */
export function isOpen(status: ExecutionStatus): status is OpenStatus {
  return status === "RUNNING" || status === "PAUSED";
}

/** A status is stored as its place here: append only. */
export const actionStatuses = [
  "PENDING",
  "SCHEDULED",
  "RUNNING",
  "WAITING",
  "RETRYING",
  "COMPLETED",
  "FAILED",
  "TIMED_OUT",
  "CANCELLED",
  "SKIPPED",
] as const;

/**
 * PENDING is not reached, or waits for its edges; SCHEDULED has a task; RETRYING is in its backoff.
 */
export type ActionStatus = (typeof actionStatuses)[number];

/** Why an action, an attempt or an execution failed. */
export interface Failure {
  /** A code of the language (TIMEOUT, SCRIPT_ERROR, …) or one that a worker chose. */
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
  /** Key of the action that failed; on an execution's failure. */
  readonly action?: string;
}

/** One finished try of a user action. */
export interface AttemptRecord {
  readonly number: number;
  readonly handout: number;
  /** Nonce of the lease that settled it: a repeat of that result is a duplicate, not stale. */
  readonly nonce?: string;
  readonly worker?: string;
  readonly startedAt?: number;
  readonly endedAt: number;
  readonly failure?: Failure;
}

/** A set of plan indexes: bits in words of 32, without zero words at the end. */
export type IndexSet = readonly number[];

/** Incoming edges: decided so far; of these taken; of the dead ones, dead because of failures. */
export interface EdgeCounts {
  readonly decided: number;
  readonly taken: number;
  readonly failed: number;
}

/** Whether an action has an output: it completed, or its failure was turned into one. */
export function hasOutput(record: ActionRecord | undefined): boolean {
  return record !== undefined && (record.status === "COMPLETED" || record.route !== undefined);
}

/** Whether the action has ended well, so that its `next` was taken. */
export function isCompleted(record: ActionRecord | undefined): boolean {
  return record?.status === "COMPLETED" || record?.skippedBy === "hand";
}

const openStatuses: readonly ActionStatus[] = ["SCHEDULED", "RUNNING", "WAITING", "RETRYING"];

/** Whether the action has started and not ended. */
export function isOpenAction({ status }: Pick<ActionRecord, "status">): boolean {
  return openStatuses.includes(status);
}

/** An action that has been touched: reached by a decided edge, started, or ended. */
export interface ActionRecord {
  readonly status: ActionStatus;
  /** While PENDING: what is known of its incoming edges. */
  readonly edges?: EdgeCounts;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Hand-out of the open task, timer, wait or script. */
  readonly handout?: number;
  /** User actions: number of the open or last attempt, from 1. */
  readonly attempt?: number;
  readonly attempts?: readonly AttemptRecord[];
  /** Attempts that are no longer kept one by one. */
  readonly attemptsDropped?: number;
  /** Moment at which totalTimeoutSeconds ends, before pauses are added. */
  readonly totalUntil?: number;
  /** Value of the execution's pausedMs when `totalUntil` was set. */
  readonly pausedMsThen?: number;
  /** Ids of timers in the store that belong to this action and end with it. */
  readonly timers?: readonly string[];
  /** Moment at which the open delay, wait or backoff is due. */
  readonly dueAt?: number;
  /** Waits: the events that end it. */
  readonly events?: readonly string[];
  /** Kinds with children: id of the open or last child, and the version of what it runs. */
  readonly child?: string;
  readonly childVersion?: number;
  /** Loops: how many rounds have ended. */
  readonly rounds?: number;
  /** Route it took when it ended; absent: `default`. */
  readonly route?: string;
  readonly failure?: Failure;
  /**
   * Why it is SKIPPED, or CANCELLED while the execution goes on (only by a lost race). `hand`, from
   * format 4 on: it counts as completed, and has an output and a route.
   */
  readonly skippedBy?: "dead-path" | "failure" | "lost-race" | "hand";
  /** SKIPPED because of failures: of which actions. Absent in executions of the earlier flow rule. */
  readonly causes?: IndexSet;
  /** Failures that `onError` routed: the place in history, which tells which one ended last. */
  readonly failureSequence?: number;
  /** While open: the action whose failure `$.execution.error` is, fixed when it started. */
  readonly errorOf?: number;
  /** Maps: how far they are. */
  readonly items?: MapProgress;
}

/** How far a map is. What became of each item is in fields of data. */
export interface MapProgress {
  readonly count: number;
  /** Items below this one have begun, or were looked at again in this run. */
  readonly next: number;
  /** The same of all runs: no item from here on has a record. */
  readonly reached: number;
  readonly open: number;
  readonly completed: number;
  readonly failed: number;
  /** Chunks of records that hold open items, or may after the end, until it is closed. */
  readonly chunks: readonly number[];
  /** Length of the output's text so far. */
  readonly chars: number;
  /** Indexes of the first items that failed, as many as its failure names. */
  readonly failures: readonly number[];
  /** The output is larger than a payload: it is put together where it is read. */
  readonly isLarge?: true;
  /** Set by hand: most items at the same time. */
  readonly maxConcurrency?: number;
  /** In a run that goes on for the sake of one child: items below this one that have failed stay so. */
  readonly standing?: number;
}

/** A signal that came before a wait for it; its payload is in a field of data. */
interface BufferedSignal {
  readonly event: string;
  /** Number of the field that holds its payload. */
  readonly sequence: number;
  readonly receivedAt: number;
}

/** A timer that a pause has stopped: `at` is the moment for which it was set. */
interface HeldTimer {
  readonly id: string;
  readonly at: number;
}

/** The run in the ids of an execution's tasks and timers. */
export function runOfIds({ idRun, run }: Pick<ExecutionState, "idRun" | "run">): number {
  return idRun ?? run;
}

/** What an action was before it was reset; from format 4 on. */
export interface LeftRecord {
  readonly index: number;
  readonly record: ActionRecord;
}

/**
 * What every commit rewrites. Times are milliseconds since the epoch, or a duration where `Ms` says
 * so.
 */
export interface ExecutionState {
  readonly id: string;
  /** The server made its id, so no start can name it again; absent: unknown, or not so. */
  readonly generatedId?: true;
  readonly workflow: string;
  readonly version: number;
  readonly correlationId?: string;
  readonly status: ExecutionStatus;
  readonly run: number;
  /**
   * The run that ids of tasks and timers name, where that is an earlier one: a rerun of a paused
   * execution has left some open. From format 4 on.
   */
  readonly idRun?: number;
  /** Plan indexes of actions that a rerun has given parameters; from format 4 on. */
  readonly given?: readonly number[];
  /** Last hand-out number given; never reset. */
  readonly handout: number;
  /** Source of every random choice of this execution (retry jitter). */
  readonly seed: number;
  readonly priority: number;
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Moment at which timeoutSeconds ends, before pauses are added. */
  readonly timeoutAt?: number;
  /** Id of the execution timeout's timer in the store. */
  readonly timeoutTimer?: string;
  readonly pausedAt?: number;
  /** Sum of the pauses that have ended. */
  readonly pausedMs: number;
  /** Timers of timeouts that came due during a pause, to be set again by resume. */
  readonly heldTimers: readonly HeldTimer[];
  /** Plan indexes of actions that may start and have not: held by a pause, or cut by a bound. */
  readonly ready: readonly number[];
  /**
   * What is still to be dropped: of the actions with these plan indexes after an end, or of an action
   * that a rerun has reset, with the record that it had.
   */
  readonly closing: readonly (number | LeftRecord)[];
  /** Id of the timer that continues what was cut off, if any. */
  readonly continueTimer?: string;
  /** Actions that are neither ended nor unreached. The execution completes at zero. */
  readonly open: number;
  readonly signals: readonly BufferedSignal[];
  readonly signalSequence: number;
  /** Ids of signals and operations already applied, newest last, as format 2 keeps them. */
  readonly causes: readonly string[];
  readonly historySequence: number;
  readonly failure?: Failure;
  readonly cancelReason?: string;
  /** The flow rule: failures travel until they are recovered. Absent: they block (format 3). */
  readonly failuresTravel?: true;
  /** How deep in a chain of onSuccess / onFailure this execution is. */
  readonly depth: number;
  /** The number of chunks of action records, the first one in the state; absent: 1. */
  readonly recordChunks?: number;
  /** How many actions a chunk holds, none of them in the state; absent: recordChunkActions. */
  readonly chunkActions?: number;
  /** W3C traceparent of the start request, carried to each task. */
  readonly traceContext?: string;
  /** W3C tracestate that came with it. */
  readonly traceState?: string;
  readonly followUpFailure?: string;
  /** Of a child: the action that has started it. */
  readonly parent?: ParentLink;
  /** How many parents are above it; absent: 0. */
  readonly nesting?: number;
  /** It runs an inline definition of `workflow`: keys of the actions that hold it, outermost first. */
  readonly inline?: readonly string[];
}

/** By plan index; undefined where nothing has happened yet. */
export type ActionRecords = readonly (ActionRecord | undefined)[];

/**
 * An execution in memory: its state, the records of all its actions, and the fields of data that
 * were loaded. A field that is absent here may exist in the store: the records say so.
 */
export interface Execution {
  readonly state: ExecutionState;
  readonly records: ActionRecords;
  readonly data: ReadonlyMap<string, JsonText>;
  readonly written?: Written;
  /** What actions need of which the store holds more than one may: these fields are not loaded. */
  readonly refused?: readonly (readonly string[])[];
  /** Length of all that is in `data`; absent: it was not counted yet. */
  readonly dataChars?: number;
}

/**
 * What the encoder remembers between two commits, as each writes all of the state and changes
 * little of it. It is changed in place: nothing depends on it but the time that encoding takes.
 */
export interface Written {
  /** Text of what never changes, and the format that it says it is in. */
  identity: string;
  format: number;
  /** By plan index: the record that was written last, and its text. */
  readonly records: (ActionRecord | undefined)[];
  readonly texts: string[];
}
