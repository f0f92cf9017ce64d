/**
 * The rules of one user action: what the workflow says, else what its definition says, else the
 * defaults of limits.ts; and the delay before a retry.
 */
import { defined } from "../base/defined.ts";
import { unreachable } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { ActionDefinition, UserRules } from "../model/definition.ts";
import type { TaskOverrides, TaskPlanAction } from "./kinds/task.ts";

/** The last rules made for a plan's action: they change only when it is registered anew. */
const made = new WeakMap<
  TaskOverrides,
  { readonly registered: ActionDefinition | undefined; readonly rules: UserRules }
>();

/** Those of an action of a plan. Only user actions are registered. */
export function taskUserRules(
  { type, name, overrides }: TaskPlanAction,
  registered: (name: string) => ActionDefinition | undefined,
): UserRules {
  return userRules(overrides, type === "user" ? registered(name) : undefined);
}

/**
 * The rules of one task: those of the workflow, else of the action's definition, else the defaults.
 */
export function userRules(
  overrides: TaskOverrides,
  registered: ActionDefinition | undefined,
): UserRules {
  const last = made.get(overrides);
  if (last !== undefined && last.registered === registered) return last.rules;
  const rules = makeRules(overrides, registered);
  made.set(overrides, { registered, rules });
  return rules;
}

function makeRules(overrides: TaskOverrides, registered: ActionDefinition | undefined): UserRules {
  const rules = { ...registered, ...overrides };
  const retryAfterSeconds = rules.retryAfterSeconds ?? limits.retryAfterSecondsDefault;
  // A workflow with a delay above the default bound, and no bound, means that delay.
  const maxRetryAfterSeconds =
    rules.maxRetryAfterSeconds ?? Math.max(limits.retryAfterSecondsMaxDefault, retryAfterSeconds);
  // An attempt always has an end: 0 means the default.
  const timeoutSeconds = rules.timeoutSeconds || limits.attemptTimeoutSecondsDefault;
  return {
    retryCount: rules.retryCount ?? limits.retryCountDefault,
    retryAfterMs: milliseconds(retryAfterSeconds),
    retryPolicy: rules.retryPolicy ?? "EXPONENTIAL",
    maxRetryAfterMs: milliseconds(maxRetryAfterSeconds),
    jitter: rules.jitter ?? limits.retryJitterDefault,
    nonRetryable: rules.nonRetryable ?? [],
    timeoutMs: milliseconds(timeoutSeconds),
    heartbeatMs: milliseconds(rules.heartbeatSeconds ?? 0),
    queueTimeoutMs: milliseconds(rules.queueTimeoutSeconds ?? 0),
    totalTimeoutMs: milliseconds(rules.totalTimeoutSeconds ?? 0),
    ...defined({ deliver: registered?.deliver }),
  };
}

/** Whole milliseconds; what is more than nothing stays more than nothing. */
function milliseconds(seconds: number): number {
  return seconds > 0 ? Math.max(1, Math.round(seconds * 1000)) : 0;
}

/** How long to wait after `attempt` (from 1) has failed; `random` is in [0, 1). */
export function retryDelayMs(rules: UserRules, attempt: number, random: number): number {
  const delay = Math.min(plainDelayMs(rules, attempt), rules.maxRetryAfterMs);
  const jittered = Math.round(delay * (1 + rules.jitter * (2 * random - 1)));
  return Math.min(Math.max(jittered, 0), rules.maxRetryAfterMs);
}

/** Beyond any bound on a delay, and far from overflow. */
const doublingsMax = 64;

function plainDelayMs(rules: UserRules, attempt: number): number {
  switch (rules.retryPolicy) {
    case "FIXED":
      return rules.retryAfterMs;
    case "BACKOFF":
      return rules.retryAfterMs * attempt;
    case "EXPONENTIAL":
      return rules.retryAfterMs * 2 ** Math.min(attempt - 1, doublingsMax);
    default:
      return unreachable(rules.retryPolicy);
  }
}
