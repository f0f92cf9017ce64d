/** A ticket as a message of a broker. Others may write there, too: what is read is checked. */
import { executionKey, parseTaskId } from "../model/ids.ts";
import type { Ticket } from "./queue.ts";

export function writeTicket({ queue, key, taskId, at }: Ticket): string {
  return JSON.stringify({ queue, execution: key.id, task: taskId, at });
}

/** Undefined: it is none. */
export function readTicket(text: string, partitions: number): Ticket | undefined {
  try {
    const { queue, execution, task, at } = JSON.parse(text) as Record<string, unknown>;
    if (typeof queue !== "string" || typeof execution !== "string") return undefined;
    if (typeof task !== "string" || !Number.isSafeInteger(at)) return undefined;
    if (parseTaskId(task)?.executionId !== execution) return undefined;
    return { queue, key: executionKey(execution, partitions), taskId: task, at: at as number };
  } catch {
    return undefined;
  }
}
