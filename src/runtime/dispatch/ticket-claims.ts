/** Tries tickets at the store, each for a poll that waits for its queue. */
import type { Clock, Ids } from "../../base/clock.ts";
import { tokenPrefix } from "../../model/ids.ts";
import type { Ticket } from "../../queue/queue.ts";
import type { LeasedTask } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";
import type { GiveBack } from "./give-back.ts";
import type { ParkedPolls } from "./parked-polls.ts";
import type { Poll } from "./poll.ts";
import type { TaskSizes } from "./task-sizes.ts";

type TicketOutcome = "claimed" | "stale" | "no-room" | "failed";

interface TicketClaimsOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly polls: Pick<ParkedPolls, "inLine">;
  readonly sizes: TaskSizes;
  readonly giveBack: GiveBack;
  /** Gives a task to the poll that it was leased for. */
  readonly place: (poll: Poll, task: LeasedTask) => void;
  /** A place that was kept in a poll is free again. */
  readonly onRoom: (poll: Poll) => void;
}

export class TicketClaims {
  readonly #options: TicketClaimsOptions;

  constructor(options: TicketClaimsOptions) {
    this.#options = options;
  }

  /** How many more tasks the polls take that wait for a queue. */
  roomFor(queue: string): number {
    let room = 0;
    for (const poll of this.#options.polls.inLine(queue)) {
      if (this.#hasRoom(poll)) room += poll.spare;
    }
    return room;
  }

  /** For a task of the size that is usual; an empty answer carries any. */
  #hasRoom(poll: Poll): boolean {
    if (poll.spare === 0) return false;
    return this.#options.sizes.fitting(poll) > 0 || (poll.empty && poll.reserved === 0);
  }

  async claim({ key, taskId, queue }: Ticket): Promise<TicketOutcome> {
    const { clock, ids, log, polls, sizes, giveBack, place, onRoom } = this.#options;
    const waiting = [...polls.inLine(queue)].filter((poll) => this.#hasRoom(poll));
    const poll = waiting.find((one) => one.takes(queue));
    // The task is one for JSON, and no poll here takes it.
    if (poll === undefined) return waiting.length > 0 ? "failed" : "no-room";
    const { workerId, heartbeatMs } = poll;
    const now = clock.now();
    const prefix = tokenPrefix(now, ids.nonce());
    const request = { key, taskId, tokenPrefix: prefix, workerId, heartbeatMs, now };
    poll.reserved += 1;
    try {
      const answer = await giveBack.claimTask(request);
      poll.reserved -= 1;
      if (answer.outcome !== "claimed") return "stale";
      const { task } = answer;
      sizes.note([task]);
      // Whoever may write to the broker does not choose who is given what.
      if (poll.takes(task.queue)) place(poll, task);
      else giveBack.task(task);
      return "claimed";
    } catch (error) {
      poll.reserved -= 1;
      logFault(log, "a ticket could not be claimed", error, { id: key.id });
      return "failed";
    } finally {
      onRoom(poll);
    }
  }
}
