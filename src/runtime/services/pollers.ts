/**
 * How many workers take tasks of a queue: those that this server has seen, and those that the other
 * servers report when they are asked. It is asked on demand only: a note costs nothing at rest.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import type { Notes } from "../peers/notes.ts";
import type { WorkerCount } from "../shared/explanation.ts";

/** How long the other servers have for their reports. */
const reportsMs = 500;
/** Queues in one note. */
const queuesPerNote = 50;

const kinds = { asked: "workers-asked", counted: "workers-counted" } as const;

type Counts = ReadonlyMap<string, WorkerCount>;

interface Polled {
  /** Of each queue that was asked for. */
  readonly counts: Counts;
  /** Live servers that did not report in time: they are older, or away. */
  readonly silentServers: number;
}

interface Options {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly notes: Pick<Notes, "areHeard" | "on" | "send">;
  /** How many other servers are live. */
  readonly peers: () => number;
  readonly here: (queues: readonly string[]) => Counts;
}

export class Pollers {
  readonly #options: Options;
  /** By id of the question. */
  readonly #questions = new Map<string, (report: Counts) => void>();

  constructor(options: Options) {
    this.#options = options;
    const { notes, here } = options;
    notes.on(kinds.asked, ([id, ...queues]) => {
      if (id === undefined) return;
      const report = JSON.stringify([...here(queues)].map(([key, n]) => [key, n.waiting, n.busy]));
      void notes.send(kinds.counted, 0, [id, report]);
    });
    notes.on(kinds.counted, ([id = "", report = "[]"]) => {
      const rows = JSON.parse(report) as [string, number, number][];
      const counts = rows.map(([key, waiting, busy]) => [key, { waiting, busy }] as const);
      this.#questions.get(id)?.(new Map(counts));
    });
  }

  async of(queues: readonly string[]): Promise<Polled> {
    const parts: string[][] = [];
    for (let first = 0; first < queues.length; first += queuesPerNote) {
      parts.push(queues.slice(first, first + queuesPerNote));
    }
    const polled = await Promise.all(parts.map((part) => this.#count(part)));
    return {
      counts: new Map(polled.flatMap(({ counts }) => [...counts])),
      silentServers: Math.max(0, ...polled.map(({ silentServers }) => silentServers)),
    };
  }

  async #count(queues: readonly string[]): Promise<Polled> {
    const { here, ids, notes, peers, clock } = this.#options;
    const reports = [here(queues)];
    const wanted = notes.areHeard ? peers() : 0;
    if (wanted > 0) {
      const id = ids.nonce();
      await new Promise<void>((resolve) => {
        const cancel = clock.after(reportsMs, resolve);
        this.#questions.set(id, (report) => {
          reports.push(report);
          if (reports.length <= wanted) return;
          cancel();
          resolve();
        });
        void notes.send(kinds.asked, 0, [id, ...queues]);
      });
      this.#questions.delete(id);
    }
    const silentServers = Math.max(0, wanted + 1 - reports.length);
    return { counts: new Map(queues.map((queue) => [queue, sum(queue, reports)])), silentServers };
  }
}

/** A worker that polls several servers counts at each. */
function sum(queue: string, reports: readonly Counts[]): WorkerCount {
  let [waiting, busy] = [0, 0];
  for (const report of reports) {
    waiting += report.get(queue)?.waiting ?? 0;
    busy += report.get(queue)?.busy ?? 0;
  }
  return { waiting, busy };
}
