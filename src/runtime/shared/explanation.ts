/** Why an execution, or a queue, is where it is: a closed list of kinds, each with a sentence. */
import type { ExecutionStatus, Failure, MapProgress } from "../../model/execution.ts";

/** Why tasks of a queue are, or are not, under way. Append only: callers may know them. */
export const queueKinds = [
  "queued",
  "workers-busy",
  "no-workers",
  "no-json-workers",
  "consumers",
] as const;
export type QueueKind = (typeof queueKinds)[number];

/** What an execution waits for. Append only. */
export const reasonKinds = [
  "ended",
  "paused",
  "continuing",
  "running",
  ...queueKinds,
  "held",
  "backoff",
  "delay",
  "signal",
  "script",
  "script-turn",
  "child",
  "items",
  "sending",
  "join",
] as const;
type ReasonKind = (typeof reasonKinds)[number];

/** Workers that take tasks of a queue: those whose polls wait, and those that have no room. */
export interface WorkerCount {
  readonly waiting: number;
  readonly busy: number;
}

/** The tasks of one action in one queue, and who takes them. */
export interface QueueReport {
  readonly queue: string;
  readonly action: string;
  /** Its tasks fit no Struct: only workers that take JSON are given them. */
  readonly waitingFor?: "json";
  /** Where tickets for its tasks are sent. */
  readonly deliveredTo?: string;
  readonly queued: number;
  /** Absent: the store does not count them. */
  readonly running?: number;
  /** There are at least so many: the store counts no further. */
  readonly atLeast?: true;
  readonly oldestAt?: number;
  readonly workers: WorkerCount;
  /** Live servers that did not say in time which workers poll them. */
  readonly silentServers: number;
}

export interface Reason {
  readonly kind: ReasonKind;
  /** For people: what it waits for, and what would move it. */
  readonly sentence: string;
  /** Id of the action, as written in the definition; absent: the execution as a whole. */
  readonly action?: number | string;
  readonly since?: number;
  /** When it goes on by itself, or is given up. */
  readonly until?: number;
  readonly queue?: QueueReport;
  readonly worker?: string;
  readonly attempt?: number;
  /** Why the last attempt failed. */
  readonly failure?: Failure;
  readonly events?: readonly string[];
  /** Of a map: how many items there are, are open, and have ended. */
  readonly items?: Pick<MapProgress, "count" | "open" | "completed" | "failed">;
  /** Id of the child that must end. */
  readonly child?: string;
  /** Ids of the actions that must end first. */
  readonly waitsFor?: readonly (number | string)[];
}

export interface ExecutionExplanation {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: ExecutionStatus;
  /** When `timeoutSeconds` of the workflow end it. */
  readonly timeoutAt?: number;
  /** Never empty. */
  readonly reasons: readonly Reason[];
}

export interface QueueExplanation {
  readonly queue: string;
  /** By action; those without tasks are not listed. */
  readonly actions: readonly (QueueReport & {
    /** `held`: all its queued tasks belong to paused executions; `running`: none is queued. */
    readonly kind: QueueKind | "held" | "running";
    readonly sentence: string;
  })[];
  /** How many more have tasks. */
  readonly leftOut: number;
}
