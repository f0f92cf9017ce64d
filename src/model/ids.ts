/**
 * Glossary, and the ids that name things.
 *
 * - *workflow*: a named DAG of actions; each save is a *version*, fixed for ever once given.
 * - *definition*: the JSON of a workflow version, or of a user action's rules.
 * - *execution*: one run-through of a workflow version. *run*: raised by retry and rerun.
 * - *action*: a node of the DAG inside an execution. *attempt*: one try of a user action.
 * - *hand-out*: number given to each task, delay, wait and script of an execution; never reset.
 * - *task*: an attempt offered to workers. *lease*: a worker's hold on a task until a moment.
 * - *token*: the secret of one lease; its bearer may settle or extend the task.
 * - *timer*: something due at a moment. *signal*: an event sent to an execution from outside.
 * - *field*: a named piece of an execution's data. *head*: revision and commit id, compared as one.
 * - *child*: an execution that an action of another one, its *parent*, has started.
 * - *partition*: where an execution lives, by a hash of its id. *outbox*: messages to others.
 */

import type { JsonText } from "./json.ts";

/** Where an execution is stored. */
export interface ExecutionKey {
  readonly partition: number;
  readonly id: string;
}

/**
 * FNV-1a over UTF-16 units: spreads ids over partitions; stable for ever, as stores depend on it.
 */
export function partitionOf(executionId: string, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < executionId.length; i++) {
    hash ^= executionId.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % partitions;
}

/** The id with its partition, which follows from a hash of it and never changes. */
export function executionKey(id: string, partitions: number): ExecutionKey {
  return { partition: partitionOf(id, partitions), id };
}

/** An action, or one item of a map. */
export interface ActionPlace {
  readonly actionKey: string;
  /** Index of the item, from 0. */
  readonly item?: number | undefined;
}

/** The parts of a task's id, which names one hand-out of one action in one run. */
export interface TaskId extends ActionPlace {
  readonly executionId: string;
  readonly run: number;
  readonly handout: number;
}

/** `<action>`, or `<action>.<index>`: an id of an action contains no dot. */
export function formatPlace({ actionKey, item }: ActionPlace): string {
  return item === undefined ? actionKey : `${actionKey}.${item}`;
}

/** Returns undefined for text that no server ever made. */
export function parsePlace(text: string): ActionPlace | undefined {
  const dot = text.indexOf(".");
  if (dot < 0) return { actionKey: text };
  const item = digits(text, dot + 1, text.length, 12);
  return item === undefined ? undefined : { actionKey: text.slice(0, dot), item };
}

/** `<execution>:<run>:<hand-out>:<place>`; none of the parts contains a colon. */
export function formatTaskId(id: TaskId): string {
  return `${id.executionId}:${id.run}:${id.handout}:${formatPlace(id)}`;
}

/** Returns undefined for text that no server ever made. */
export function parseTaskId(text: string): TaskId | undefined {
  const first = text.indexOf(":");
  const second = text.indexOf(":", first + 1);
  const third = text.indexOf(":", second + 1);
  if (first < 0 || second < 0 || third < 0 || text.indexOf(":", third + 1) >= 0) return undefined;
  const run = digits(text, first + 1, second, 10);
  const handout = digits(text, second + 1, third, 12);
  if (run === undefined || handout === undefined) return undefined;
  const place = parsePlace(text.slice(third + 1));
  if (place === undefined) return undefined;
  return { executionId: text.slice(0, first), run, handout, ...place };
}

/** The number that stands there, of 1 to `most` decimal digits and nothing else. */
function digits(text: string, from: number, to: number, most: number): number | undefined {
  if (to === from || to - from > most) return undefined;
  let number = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/**
 * `<leased at, base 36>.<nonce>` of a lease: one per claim or poll, so that a claim repeated after
 * an unknown outcome finds what it leased. The token is the prefix, a dot, and the task id.
 */
export function tokenPrefix(leasedAt: number, nonce: string): string {
  return `${leasedAt.toString(36)}.${nonce}`;
}

/** The token of a lease: the prefix of its claim, and the task. */
export function formatToken(prefix: string, taskId: string): string {
  return `${prefix}.${taskId}`;
}

/** The parts of a token: who took the lease, when, and of which task. */
interface Token {
  readonly leasedAt: number;
  readonly nonce: string;
  readonly taskId: string;
}

/** Edge and engine parse the same token one after the other: the last result is kept. */
let lastText = "";
let lastToken: Token | undefined;

/** Execution ids may contain dots, so only the first two dots separate. */
export function parseToken(text: string): Token | undefined {
  if (text !== lastText) {
    lastToken = readToken(text);
    lastText = text;
  }
  return lastToken;
}

function readToken(text: string): Token | undefined {
  const first = text.indexOf(".");
  const second = text.indexOf(".", first + 1);
  if (first < 1 || second < 0) return undefined;
  const leasedAt = Number.parseInt(text.slice(0, first), 36);
  if (!Number.isFinite(leasedAt)) return undefined;
  return { leasedAt, nonce: text.slice(first + 1, second), taskId: text.slice(second + 1) };
}

/** Workers poll for names in queues; the store knows one list for each pair. */
export function queueKey(queue: string, actionName: string): string {
  return `${queue}/${actionName}`;
}

/** No name of a queue holds a colon. */
const jsonMark = "json:";

/**
 * The list beside a plain one for its tasks that fit no `google.protobuf.Struct`: only polls that
 * take JSON ask for it, too.
 */
export function jsonQueueKey(plainKey: string): string {
  return jsonMark + plainKey;
}

/** Whether the queue is the one beside a plain queue, for workers that take JSON. */
export function isJsonQueueKey(key: string): boolean {
  return key.startsWith(jsonMark);
}

/** The plain queue of a queue for JSON; any other is returned unchanged. */
export function plainQueueKey(key: string): string {
  return isJsonQueueKey(key) ? key.slice(jsonMark.length) : key;
}

/** The names of queues hold no slash; those of actions may. */
export function parseQueueKey(key: string): { readonly queue: string; readonly action: string } {
  const plain = plainQueueKey(key);
  const slash = plain.indexOf("/");
  return { queue: plain.slice(0, slash), action: plain.slice(slash + 1) };
}

/** Names of the fields of an execution's data. */
export const fields = {
  input: "input",
  result: "result",
  /** What a rerun gives an action instead of its resolved parameters. */
  parameters: (actionKey: string) => `parameters:${actionKey}`,
  output: (actionKey: string) => `output:${actionKey}`,
  signal: (sequence: number) => `signal:${sequence}`,
  /** Ids of signals and operations that were applied: see engine/causes.ts. */
  causes: (number: number) => `causes:${number}`,
  /** Records of the actions with plan index 64k to 64k+63; the first chunk lives in the state. */
  records: (chunk: number) => `records:${chunk}`,
  /** What a map runs over, and what became of it: see engine/stored/items.ts. */
  items: (actionKey: string, chunk: number) => `items:${actionKey}:${chunk}`,
  itemRecords: (actionKey: string, chunk: number) => `item-records:${actionKey}:${chunk}`,
  itemOutcome: (actionKey: string, item: number) => `item-outcome:${actionKey}:${item}`,
  /** The result of the last round of a loop. */
  last: (actionKey: string) => `last:${actionKey}`,
  /**
   * Not stored: which version a hand-out of a workflow is going to run, as the catalogue says when it is
   * looked up. Its text is a number, or a sentence that says why there is none.
   */
  version: (handout: number, workflow: string, version: number | undefined) =>
    `version:${handout}:${workflow}:${version ?? ""}`,
} as const;

/** What is looked up in the catalogue; undefined for fields of an execution. */
export function parseVersionField(
  name: string,
): { readonly workflow: string; readonly version: number | undefined } | undefined {
  const [kind, , workflow, version] = name.split(":");
  if (kind !== "version" || workflow === undefined) return undefined;
  return { workflow, version: version ? Number(version) : undefined };
}

/** What a field means that was never written; undefined: it must be there. */
export function unwrittenField(name: string): JsonText | undefined {
  return name.startsWith("causes:") ? "[]" : undefined;
}
