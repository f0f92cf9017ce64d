/** What waits for one execution: events, starts, and scripts that are being evaluated. */

import { limits } from "../../base/limits.ts";
import type { Beginning } from "../../engine/decide.ts";
import type { Surroundings } from "../../engine/decision/surroundings.ts";
import type { Decision } from "../../model/decision.ts";
import type { EventAnswer, ExecutionEvent } from "../../model/event.ts";
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { CreateAnswer } from "../../store/store.ts";
import type { Poll } from "../dispatch/poll.ts";
import type { ScriptRunner } from "./scripts.ts";

export type SubmitAnswer = EventAnswer | { readonly type: "not-found" } | { readonly type: "gone" };

/** The store's answer, with the status after what was decided at once. */
export type Created =
  | Exclude<CreateAnswer, { outcome: "created" }>
  | (Extract<CreateAnswer, { outcome: "created" }> & { readonly status: ExecutionStatus });

/** An event and the callback for its outcome. */
export interface Letter {
  readonly event: ExecutionEvent;
  /** The poll that brought it: what follows goes to it first. */
  readonly origin?: Poll | undefined;
  readonly resolve: (answer: SubmitAnswer) => void;
  readonly reject: (error: unknown) => void;
}

export interface Mail extends Letter {
  readonly bytes: number;
  /** Its poll knows that it was decided on. */
  isDecided: boolean;
  /** Its sender has its outcome, and is not called again. */
  isAnswered: boolean;
}

export function answerMail(mail: Mail, reply: SubmitAnswer): void {
  if (mail.isAnswered) return;
  mail.isAnswered = true;
  mail.resolve(reply);
}

export function rejectMail(mail: Mail, error: unknown): void {
  if (mail.isAnswered) return;
  mail.isAnswered = true;
  mail.reject(error);
}

export function noteDecided(mail: Mail): void {
  if (mail.isDecided) return;
  mail.isDecided = true;
  mail.origin?.resultDecided();
}

/** A start that waits for its turn. */
export interface Creation {
  readonly beginning: NewBeginning;
  readonly requestHash: string;
  readonly resolve: (answer: Created) => void;
  readonly reject: (error: unknown) => void;
}

export type NewBeginning = Omit<Beginning, Exclude<keyof Surroundings, "plan">>;

export interface Mailbox {
  readonly key: ExecutionKey;
  readonly creations: Creation[];
  mail: Mail[];
  /** What was taken out of it for the current decision. */
  taken: Mail[];
  running: boolean;
  /** The last commit was cut: go on without waiting for the timer that guards it. */
  more: boolean;
  /** Made with its first script: most executions have none. */
  scripts: ScriptRunner | undefined;
}

/** Whether scripts of a decision that is not committed yet are still running. */
export function hasFreshScripts(box: Mailbox): boolean {
  return box.scripts !== undefined && box.scripts.fresh > 0;
}

export function takeBatch(box: Mailbox): Mail[] {
  let count = 0;
  let bytes = 0;
  for (const mail of box.mail) {
    bytes += mail.bytes;
    if (count > 0 && bytes > limits.payloadBytesMax) break;
    count += 1;
    if (count === limits.mailboxEventsPerCommitMax) break;
  }
  let batch = box.mail;
  if (count === batch.length) box.mail = [];
  else batch = box.mail.splice(0, count);
  for (const mail of batch) box.taken.push(mail);
  return batch;
}

/** Reports the outcome of each event that was decided; the others wait for the next decision. */
export function answer(box: Mailbox, mail: Mail[], decision: Decision): void {
  for (const [index, item] of mail.entries()) {
    const reply = decision.answers[index];
    if (reply === undefined) {
      box.mail.unshift(...mail.slice(index));
      return;
    }
    answerMail(item, reply);
  }
}

/** An event of the driver that continues a decision: its outcome is reported to nobody. */
export function continuation(): Mail {
  const ignore = () => {};
  const event = { type: "continue" } as const;
  const handled = { isDecided: false, isAnswered: false };
  return { event, bytes: 0, ...handled, resolve: ignore, reject: ignore };
}

/**
 * Scripts of a decision that was never committed will be requested again, maybe under the numbers
 * of others: their outcomes count for nothing. Returns the mail without them.
 */
export function abandonScripts(box: Mailbox, mail: readonly Mail[]): Mail[] {
  const abandoned = box.scripts?.abandonFresh();
  if (abandoned === undefined || abandoned.size === 0) return [...mail];
  const stands = ({ event }: Mail) => event.type !== "script" || !abandoned.has(event.handout);
  box.mail = box.mail.filter(stands);
  return mail.filter(stands);
}

interface Parted {
  /** Their lease or timer has moved on. */
  readonly stale: Mail[];
  /** Several are about one task, and the store does not say which is stale: each goes alone. */
  readonly doubtful: Mail[];
  readonly rest: Mail[];
}

export function partStale(
  mail: readonly Mail[],
  moved: { readonly tasks: readonly string[]; readonly timers: readonly string[] },
): Parted {
  const parted: Parted = { stale: [], doubtful: [], rest: [] };
  const subjects = mail.map(({ event }) => {
    if ("taskId" in event) return moved.tasks.includes(event.taskId) ? event.taskId : undefined;
    return event.type === "timer" && moved.timers.includes(event.id) ? event.id : undefined;
  });
  for (const [index, item] of mail.entries()) {
    const subject = subjects[index];
    if (subject === undefined) parted.rest.push(item);
    else if (subjects.indexOf(subject) === subjects.lastIndexOf(subject)) parted.stale.push(item);
    else parted.doubtful.push(item);
  }
  return parted;
}

export function eventBytes(event: ExecutionEvent): number {
  if (event.type === "result") return event.outcome.ok ? event.outcome.output.length : 1_000;
  if (event.type === "signal") return event.payload.length;
  if (event.type === "script") return event.outcome.ok ? event.outcome.output.length : 1_000;
  return 100;
}
