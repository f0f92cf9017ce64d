/**
 * The header of a task: what a worker learns of it besides its parameters. Opaque to the store. Most
 * of it is the same for all tasks of an action, so that part is written once for each plan, and read
 * once: this is done for every task that is offered or handed out.
 */
import type { ParentLink } from "./child.ts";
import type { JsonText } from "./json.ts";

/** What is the same for all tasks of an action. */
interface HeaderStart {
  readonly workflow: string;
  readonly version: number;
  readonly actionKey: string;
  /** The id as written, for the legacy worker wire. */
  readonly actionId: number | string;
  /** A number for it in any case, for the legacy worker wire. */
  readonly actionNumber: number;
  readonly name: string;
}

/** What differs from task to task. */
interface HeaderRest {
  readonly attempt: number;
  readonly handout: number;
  /** When it was put on offer. Absent in tasks of early versions. */
  readonly offeredAt?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly traceContext?: string | undefined;
  readonly traceState?: string | undefined;
  /** Of a task for an item of a map: its index, from 0. */
  readonly index?: number | undefined;
  /** JSON text of the item, where the parameters are not the item itself. */
  readonly item?: JsonText | undefined;
  /** Of a task of a child: the execution and the action that have started it. */
  readonly parent?: Pick<ParentLink, "id" | "action" | "item"> | undefined;
}

/** What travels with a task besides its parameters: names, ids, limits, trace. */
export interface TaskHeader extends HeaderStart, HeaderRest {}

/** The same part as JSON text, not closed. */
export function beginHeader(start: HeaderStart): string {
  return JSON.stringify(start).slice(0, -1);
}

/** The whole text. Piece by piece, as this is done for every task. */
export function finishHeader(start: string, rest: HeaderRest): JsonText {
  const { attempt, handout, offeredAt, correlationId, traceContext, traceState } = rest;
  const { index, item, parent } = rest;
  let header = `${start}${separator}${attempt},"handout":${handout}`;
  if (offeredAt !== undefined) header += `,"offeredAt":${offeredAt}`;
  if (correlationId !== undefined) header += `,"correlationId":${JSON.stringify(correlationId)}`;
  if (traceContext !== undefined) header += `,"traceContext":${JSON.stringify(traceContext)}`;
  if (traceState !== undefined) header += `,"traceState":${JSON.stringify(traceState)}`;
  if (index !== undefined) header += `,"index":${index}`;
  if (item !== undefined) header += `,"item":${JSON.stringify(item)}`;
  if (parent !== undefined) {
    const { id, action, item: of } = parent;
    header += `,"parent":${JSON.stringify({ id, action, item: of })}`;
  }
  return `${header}}`;
}

/** Where the rest begins. It cannot be part of a name, where the quotes would be escaped. */
const separator = ',"attempt":';

/** Beginnings that are remembered. */
const beginningsMax = 10_000;

const beginnings = new Map<string, HeaderStart>();

export function readHeader(text: JsonText): TaskHeader {
  const at = text.indexOf(separator);
  if (at < 0) return JSON.parse(text) as TaskHeader;
  const start = text.slice(0, at);
  let beginning = beginnings.get(start);
  if (beginning === undefined) {
    beginning = JSON.parse(`${start}}`) as HeaderStart;
    if (beginnings.size === beginningsMax) beginnings.clear();
    beginnings.set(start, beginning);
  }
  const rest = JSON.parse(`{${text.slice(at + 1)}`) as HeaderRest;
  return { ...beginning, ...rest };
}
