/** What the store holds of queues, joined with the workers that take their tasks. */
import { defined } from "../../base/defined.ts";
import { isJsonQueueKey, parseQueueKey } from "../../model/ids.ts";
import { innerQueue } from "../../model/names.ts";
import { type QueueCounts, sumOf } from "../../store/kit/queue-counts.ts";
import type { QueueStats, Store } from "../../store/store.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { QueueKind, QueueReport, WorkerCount } from "../shared/explanation.ts";
import type { Pollers } from "./pollers.ts";

/** By the store's key of the queue. */
export type QueueReports = ReadonlyMap<string, QueueReport>;

/** Above this many, all that a partition holds is read at once. */
const readOneByOneMax = 4;

/** What each partition holds of some queues, or of all. */
export async function readStats(
  store: Store,
  queues: ReadonlySet<string> | "all",
): Promise<readonly QueueStats[]> {
  const one = queues !== "all" && queues.size <= readOneByOneMax ? [...queues] : [undefined];
  const requests = Array.from({ length: store.partitions }, (_, partition) =>
    one.map((queue) => ({ partition, ...defined({ queue }) })),
  ).flat();
  const read = await Promise.all(requests.map((request) => store.queueStats(request)));
  return read.flat().filter(({ queue }) => queues === "all" || queues.has(queue));
}

interface ReportOptions {
  readonly pollers: Pollers;
  readonly registry: Pick<ActionRegistry, "deliveredTo">;
}

/** Reports on the queues of these parts, at most `most`, and how many are more. */
export async function reportOn(
  { pollers, registry }: ReportOptions,
  parts: readonly QueueStats[],
  most: number,
): Promise<{ readonly reports: QueueReports; readonly leftOut: number }> {
  const held = new Map<string, QueueCounts>();
  for (const { queue, ...part } of parts) {
    const known = held.get(queue);
    held.set(queue, known === undefined ? part : sumOf(known, part));
  }
  const listed = [...held.keys()].sort().slice(0, most);
  const { counts: polls, silentServers } = await pollers.of(listed);
  const places = await Promise.all(
    listed.map((key) => registry.deliveredTo(parseQueueKey(key).action)),
  );
  const reports = listed.map((key, index): [string, QueueReport] => {
    const { leased: running, ...counts } = held.get(key)!;
    const workers = polls.get(key) ?? { waiting: 0, busy: 0 };
    const waitingFor = isJsonQueueKey(key) ? ("json" as const) : undefined;
    const known = defined({ running, waitingFor, deliveredTo: places[index] });
    return [key, { ...parseQueueKey(key), ...counts, workers, silentServers, ...known }];
  });
  return { reports: new Map(reports), leftOut: held.size - listed.length };
}

/** Why its queued tasks are not taken, or that they are. */
export function kindOf(report: QueueReport): QueueKind {
  const { workers, running = 0, waitingFor, deliveredTo } = report;
  if (workers.waiting > 0) return "queued";
  if (deliveredTo !== undefined) return "consumers";
  if (workers.busy > 0 || running > 0) return "workers-busy";
  return waitingFor === "json" ? "no-json-workers" : "no-workers";
}

const taskCount = (count: number, atLeast?: true) => {
  const tasks = count === 1 ? "1 task" : `${count} tasks`;
  return atLeast ? `at least ${tasks}` : tasks;
};
const workerCount = (count: number) => (count === 1 ? "1 worker" : `${count} workers`);

/** What waits and who takes it, as a sentence or two. */
export function queueSentence(kind: QueueKind, report: QueueReport): string {
  const { queue, action, queued, atLeast, workers, silentServers } = report;
  if (queue === innerQueue) return innerSentence(kind, report);
  const waiting = `${capitalised(taskCount(queued, atLeast))} of ${action} in the queue ${queue}`;
  const wait = queued === 1 ? "waits" : "wait";
  const unsure =
    silentServers > 0 ? ` (${silentServers} of the servers did not say who polls them)` : "";
  switch (kind) {
    case "queued":
      return `${waiting} ${wait}, and ${workerCount(workers.waiting)} with room for it will take them.`;
    case "workers-busy":
      return (
        `${waiting} ${wait}: ${busySentence(workers)}${runningPart(report)}. ` +
        "They are taken as workers have room; more workers, or more concurrency, take them sooner."
      );
    case "no-workers":
      return `${waiting} ${wait}, and no worker polls for it${unsure}. Start a worker for ${action}.`;
    case "consumers":
      return (
        `${waiting} ${wait} for consumers of ${report.deliveredTo}, which claim by ticket. Where none does, ` +
        "look whether they run, and whether /health/ready names the broker."
      );
    case "no-json-workers":
      return (
        `${waiting} ${wait} with parameters too deep or too large for google.protobuf.Struct, and ` +
        `no worker that takes JSON polls for it${unsure}. Start one that polls with PAYLOAD_FORMAT_JSON.`
      );
  }
}

function capitalised(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`;
}

function busySentence({ busy }: WorkerCount): string {
  if (busy === 0) return "its workers are busy";
  return busy === 1 ? "its 1 worker has no room" : `its ${busy} workers have no room`;
}

function runningPart({ running, atLeast }: QueueReport): string {
  return running === undefined ? "" : `, with ${taskCount(running, atLeast)} of it running`;
}

/** Of the queue that the server's own worker takes. */
function innerSentence(kind: QueueKind, { action, queued, atLeast }: QueueReport): string {
  const waiting = `${capitalised(taskCount(queued, atLeast))} of ${action} ${queued === 1 ? "waits" : "wait"}`;
  if (kind === "queued") return `${waiting} for the server, which takes them now.`;
  if (kind === "workers-busy") return `${waiting}: the servers make as many calls as they may.`;
  return `${waiting}, and no live server takes such tasks.`;
}
