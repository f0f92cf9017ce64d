/**
 * Informs workers of tasks that are cancelled while they hold them, with their next poll or the one
 * that is parked. The server that commits a cancellation may be another than the one that gave the
 * task out, and the worker's poll may be parked at a third one: servers pass the note on. A hint:
 * what gets lost arrives with the next heartbeat.
 */
import type { Clock } from "../../base/clock.ts";
import type { Decision } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { LeasedTask } from "../../store/store.ts";
import type { Notes } from "../peers/notes.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { type Holder, LeaseHolders } from "./lease-holders.ts";

/** Cancelled tasks that are reported to other servers in one turn of the event loop. */
export const droppedTasksPerTurnMax = 1_000;

/** Tasks whose holder the sender does not know, and holders whose poll is not parked there. */
const kinds = { dropped: "dropped", cancelled: "cancelled" } as const;
type Kind = (typeof kinds)[keyof typeof kinds];

/** After a token, which never holds it. */
const holderSeparator = "\n";

interface Options {
  readonly clock: Clock;
  readonly dispatcher: Pick<Dispatcher, "hasPoll" | "hurry">;
  readonly notes: Pick<Notes, "areHeard" | "on" | "send">;
}

/** What the notes of this turn of the event loop are to say. */
interface Outgoing {
  readonly partition: number;
  readonly texts: Readonly<Record<Kind, string[]>>;
}

export class Cancellations {
  readonly #options: Options;
  readonly #leaseHolders = new LeaseHolders();
  #outgoing: Outgoing | undefined;

  constructor(options: Options) {
    this.#options = options;
    const { notes } = options;
    notes.on(kinds.dropped, (taskIds) => this.#tellHolders(0, taskIds));
    notes.on(kinds.cancelled, (texts) => this.#heardOfHolders(texts));
  }

  givenOut(tasks: readonly LeasedTask[], workerId: string): void {
    this.#leaseHolders.givenOut(tasks, workerId);
  }

  /** Whether the worker has something to hear. */
  isAny(workerId: string): boolean {
    return this.#leaseHolders.hasCancelled(workerId);
  }

  /** Tokens of which the worker has not heard yet. */
  take(workerId: string): readonly string[] {
    return this.#leaseHolders.takeCancelled(workerId);
  }

  busyWorkers(now: number, isBeaten: (token: string) => boolean): ReadonlySet<string> {
    return this.#leaseHolders.busyWorkers(now, isBeaten);
  }

  committed({ partition }: ExecutionKey, decision: Decision): void {
    this.#leaseHolders.ended(decision);
    const { dropTasks } = decision.effects;
    if (dropTasks.length === 0) return;
    const unknown = this.#tellHolders(partition, dropTasks);
    this.#send(partition, kinds.dropped, unknown);
  }

  /** Returns the tasks whose holders are unknown here. */
  #tellHolders(partition: number, taskIds: readonly string[]): readonly string[] {
    const { dispatcher } = this.#options;
    const { holders, unknown } = this.#leaseHolders.takeHolders(taskIds);
    for (const holder of holders) {
      this.#tell(holder);
      // One that polls elsewhere next would not hear what is kept for it here.
      const { workerId, token } = holder;
      if (dispatcher.hasPoll(workerId)) continue;
      this.#send(partition, kinds.cancelled, [`${token}${holderSeparator}${workerId}`]);
    }
    return unknown;
  }

  #tell(holder: Holder): void {
    this.#leaseHolders.cancel(holder);
    this.#options.dispatcher.hurry(holder.workerId);
  }

  #heardOfHolders(texts: readonly string[]): void {
    for (const text of texts) {
      const at = text.indexOf(holderSeparator);
      const holder = { token: text.slice(0, at), workerId: text.slice(at + 1) };
      if (at > 0 && this.#options.dispatcher.hasPoll(holder.workerId)) this.#tell(holder);
    }
  }

  /** With the others of this turn; which partition's channel they take makes no difference. */
  #send(partition: number, kind: Kind, texts: readonly string[]): void {
    const { clock, notes } = this.#options;
    if (texts.length === 0 || !notes.areHeard) return;
    if (this.#outgoing === undefined) {
      this.#outgoing = { partition, texts: { dropped: [], cancelled: [] } };
      clock.soon(() => this.#flush());
    }
    const all = this.#outgoing.texts[kind];
    if (all.length + texts.length <= droppedTasksPerTurnMax) all.push(...texts);
  }

  #flush(): void {
    const { partition, texts } = this.#outgoing!;
    this.#outgoing = undefined;
    for (const kind of Object.values(kinds)) {
      void this.#options.notes.send(kind, partition, texts[kind]);
    }
  }
}
