/**
 * Ids and tokens as they are kept in Redis: without what is known anyway. Task ids begin with their
 * execution's, and tokens end with their task's; both travel through Redis many times for each step.
 */
import { formatToken } from "../../model/ids.ts";

const short = "~";
const whole = "=";

/** A task's id among those of its execution. */
export function shortTaskId(executionId: string, taskId: string): string {
  const isOwn = taskId.startsWith(executionId) && taskId[executionId.length] === ":";
  return isOwn ? short + taskId.slice(executionId.length + 1) : whole + taskId;
}

export function wholeTaskId(executionId: string, stored: string): string {
  return stored.startsWith(short) ? `${executionId}:${stored.slice(1)}` : stored.slice(1);
}

/** A lease's token among those of its task; scripts make the short form themselves. */
export function shortToken(taskId: string, token: string): string {
  const isOwn = token.endsWith(taskId) && token[token.length - taskId.length - 1] === ".";
  return isOwn ? short + token.slice(0, -taskId.length - 1) : whole + token;
}

export function wholeToken(taskId: string, stored: string): string {
  return stored.startsWith(short) ? formatToken(stored.slice(1), taskId) : stored.slice(1);
}
