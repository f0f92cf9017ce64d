/** What the store holds of queues, joined with the workers that take their tasks. */
import { defined } from "../../base/defined.ts";
import { isJsonQueueKey, parseQueueKey } from "../../model/ids.ts";
import { innerQueue } from "../../model/names.ts";
import type { QueueStats, Store } from "../../store/store.ts";
import type { QueueKind, QueueReport, WorkerCount } from "../shared/explanation.ts";
import type { Pollers } from "./pollers.ts";

interface Options {
  readonly store: Store;
  readonly pollers: Pollers;
}

/** By the store's key of the queue. */
export type QueueReports = ReadonlyMap<string, QueueReport & { readonly isClaimable: boolean }>;

/** Reports on the queues that hold tasks and are `wanted`, at most `most`, and how many are more. */
export async function reportOn(
  { store, pollers }: Options,
  wanted: (queue: string) => boolean,
  most: number,
): Promise<{ readonly reports: QueueReports; readonly leftOut: number }> {
  const held = new Map<string, QueueStats & { isClaimable: boolean }>();
  const partitions = await Promise.all(
    Array.from({ length: store.partitions }, async (_, partition) => {
      const claimable = new Set(await store.queueHints({ partition }));
      return { stats: await store.queueStats({ partition }), claimable };
    }),
  );
  for (const { stats, claimable } of partitions) {
    for (const part of stats) {
      const { queue } = part;
      if (!wanted(queue)) continue;
      const before = held.get(queue) ?? { queued: 0, leased: 0, isClaimable: false };
      const oldest = [before, part].flatMap(({ oldestAt }: Partial<QueueStats>) => oldestAt ?? []);
      held.set(queue, {
        queue,
        queued: before.queued + part.queued,
        leased: before.leased + part.leased,
        ...(oldest.length > 0 && { oldestAt: Math.min(...oldest) }),
        isClaimable: before.isClaimable || claimable.has(queue),
      });
    }
  }
  const listed = [...held.keys()].sort().slice(0, most);
  const { counts, silentServers } = await pollers.of(listed);
  const reports = new Map(
    listed.map((key) => {
      const { queued, leased, oldestAt, isClaimable } = held.get(key)!;
      const workers = counts.get(key) ?? { waiting: 0, busy: 0 };
      const waitingFor = isJsonQueueKey(key) ? ("json" as const) : undefined;
      const counted = { queued, running: leased, workers, silentServers, isClaimable };
      return [key, { ...parseQueueKey(key), ...counted, ...defined({ oldestAt, waitingFor }) }];
    }),
  );
  return { reports, leftOut: held.size - listed.length };
}

/** Why its queued tasks are not taken, or that they are. */
export function kindOf({ workers, running, waitingFor }: QueueReport): QueueKind {
  if (workers.waiting > 0) return "queued";
  if (workers.busy > 0 || running > 0) return "workers-busy";
  return waitingFor === "json" ? "no-json-workers" : "no-workers";
}

const taskCount = (count: number) => (count === 1 ? "1 task" : `${count} tasks`);
const workerCount = (count: number) => (count === 1 ? "1 worker" : `${count} workers`);

/** What waits and who takes it, as a sentence or two. */
export function queueSentence(kind: QueueKind, report: QueueReport): string {
  const { queue, action, queued, running, workers, silentServers } = report;
  if (queue === innerQueue) return innerSentence(kind, report);
  const waiting = `${taskCount(queued)} of ${action} in the queue ${queue}`;
  const wait = queued === 1 ? "waits" : "wait";
  const unsure =
    silentServers > 0 ? ` (${silentServers} of the servers did not say who polls them)` : "";
  switch (kind) {
    case "queued":
      return `${waiting} ${wait}, and ${workerCount(workers.waiting)} with room for it will take them.`;
    case "workers-busy":
      return (
        `${waiting} ${wait}: ${busySentence(workers)}, with ${taskCount(running)} of it running. ` +
        "They are taken as workers have room; more workers, or more concurrency, take them sooner."
      );
    case "no-workers":
      return `${waiting} ${wait}, and no worker polls for it${unsure}. Start a worker for ${action}.`;
    case "no-json-workers":
      return (
        `${waiting} ${wait} with parameters too deep or too large for google.protobuf.Struct, and ` +
        `no worker that takes JSON polls for it${unsure}. Start one that polls with PAYLOAD_FORMAT_JSON.`
      );
  }
}

function busySentence({ busy }: WorkerCount): string {
  if (busy === 0) return "its workers are busy";
  return busy === 1 ? "its 1 worker has no room" : `its ${busy} workers have no room`;
}

/** Of the queue that the server's own worker takes. */
function innerSentence(kind: QueueKind, { action, queued }: QueueReport): string {
  const waiting = `${taskCount(queued)} of ${action} ${queued === 1 ? "waits" : "wait"}`;
  if (kind === "queued") return `${waiting} for the server, which takes them now.`;
  if (kind === "workers-busy") return `${waiting}: the servers make as many calls as they may.`;
  return `${waiting}, and no live server takes such tasks.`;
}
