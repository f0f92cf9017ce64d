/**
 * What users write: workflow and action definitions, after the checks have passed and defaults of
 * letter case and short forms have been made explicit. The language is explained in
 * docs/language.md.
 */
import type { Json } from "./json.ts";

/** An action's id as written: a non-negative integer or a word. Its text is the *action key*. */
export type ActionId = number | string;

/** Which incoming edges an action waits for; a number: that many taken ones. */
export type JoinRule = "all" | "succeeded" | "any" | "settled" | number | JoinRace;

/** As "any" or a number; once it is decided, what is still on its way to it ends. */
export type JoinRace = {
  readonly count: "any" | number;
  readonly cancelRest: true;
};

/** One key per route, each with the ids of the actions that follow. */
export type Routes = Readonly<Record<string, ActionId | readonly ActionId[]>>;

/** What happens after the end of an execution. */
export type FollowUp =
  | "NOOP"
  | "DELETE"
  | { readonly workflow: string; readonly parameters?: Json };

/** An action of a workflow as it is saved; the fields of its kind beside those of every action. */
export interface ActionSpec {
  readonly id: ActionId;
  readonly type: "user" | "system";
  readonly name: string;
  readonly parameters?: Json;
  readonly next?: Routes;
  readonly onError?: Routes;
  readonly optional?: boolean;
  readonly join?: JoinRule;
  readonly strict?: boolean;
  /** What only some kinds have: see language/kinds. */
  readonly [field: string]: Json | undefined;
}

/** A workflow as it is saved: checked, with its names and letter case made uniform. */
export interface WorkflowDefinition {
  readonly name: string;
  readonly version?: number;
  readonly description?: string;
  readonly rootAction: ActionId | readonly ActionId[];
  readonly actions: readonly ActionSpec[];
  readonly output?: Json;
  readonly timeoutSeconds?: number;
  readonly onSuccess?: FollowUp;
  readonly onFailure?: FollowUp;
  readonly retentionSeconds?: number;
}

type RetryPolicy = "FIXED" | "BACKOFF" | "EXPONENTIAL";

/** Overrides of an action's retry rules inside a workflow. */
export interface RetrySpec {
  readonly retryCount?: number;
  readonly retryAfterSeconds?: number;
  readonly retryPolicy?: RetryPolicy;
  readonly maxRetryAfterSeconds?: number;
  readonly jitter?: number;
  readonly nonRetryable?: readonly string[];
}

/** A user action as registered by a worker or over REST. What is absent takes the default. */
export interface ActionDefinition extends RetrySpec {
  readonly name: string;
  readonly timeoutSeconds?: number;
  readonly heartbeatSeconds?: number;
  readonly queueTimeoutSeconds?: number;
  readonly totalTimeoutSeconds?: number;
  readonly concurrency?: number;
  /** Where a message about each of its tasks goes. */
  readonly deliver?: Deliver;
}

/** Consumers of a broker do the tasks. */
interface Deliver {
  /** `kafka:<topic>`, or `sqs:<queue>`: an address of brokers/address.ts. */
  readonly to: string;
}

/** The rules of one user action with every default filled in; durations in milliseconds. */
export interface UserRules {
  readonly retryCount: number;
  readonly retryAfterMs: number;
  readonly retryPolicy: RetryPolicy;
  readonly maxRetryAfterMs: number;
  /** Random share of the delay, 0 to 1. */
  readonly jitter: number;
  readonly nonRetryable: readonly string[];
  readonly timeoutMs: number;
  /** 0: no bound. */
  readonly heartbeatMs: number;
  /** 0: no limit. */
  readonly queueTimeoutMs: number;
  /** 0: no limit. */
  readonly totalTimeoutMs: number;
  readonly deliver?: Deliver;
}
