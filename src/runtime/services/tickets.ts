/** Tasks by ticket: claimed, completed without a claim, and their parameters. */
import type { Clock, Ids } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { executionKey, parseTaskId, tokenPrefix } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Store, TaskPlace } from "../../store/store.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Driver } from "../driving/driver.ts";
import type {
  TicketClaim,
  TicketClaimRequest,
  TicketDesk,
  TicketRefusal,
  TicketResult,
} from "../shared/tickets.ts";
import type { Relay } from "./relay.ts";
import type { WorkerDesk } from "./worker-desk.ts";

interface TicketsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly driver: Pick<Driver, "submit">;
  readonly desk: Pick<WorkerDesk, "handOut">;
  readonly dispatcher: Pick<Dispatcher, "claimTask">;
  /** Whose tickets are read. */
  readonly relay: Pick<Relay, "seal">;
  readonly metrics: Metrics;
}

/** A task may change hands between a result and the look at why it was refused. */
const completeTriesMax = 3;

export class Tickets implements TicketDesk {
  readonly #options: TicketsOptions;

  constructor(options: TicketsOptions) {
    this.#options = options;
  }

  readTicket(ticket: string): ReturnType<TicketDesk["readTicket"]> {
    return this.#options.relay.seal.read(ticket);
  }

  async claimByTicket(request: TicketClaimRequest): Promise<TicketClaim> {
    const { metrics } = this.#options;
    const claim = await this.#claim(request);
    metrics.ticket("claim", claim.status);
    return claim;
  }

  async #claim({ ticket, workerId, leaseMs }: TicketClaimRequest): Promise<TicketClaim> {
    const { clock, ids, desk, dispatcher } = this.#options;
    const place = await this.#placeOf(ticket);
    const now = clock.now();
    const prefix = tokenPrefix(now, ids.nonce());
    const claimant = { tokenPrefix: prefix, workerId, heartbeatMs: leaseMs, now };
    const answer = await dispatcher.claimTask({ ...place, ...claimant });
    switch (answer.outcome) {
      case "claimed":
        return { status: "claimed", task: desk.handOut(answer.task, workerId) };
      case "leased":
        return { status: "leased", leaseUntil: answer.leaseUntil };
      case "held":
        return { status: "held" };
      default:
        return { status: (await this.#isDone(place)) ? "done" : "stale" };
    }
  }

  async completeByTicket(result: TicketResult): ReturnType<TicketDesk["completeByTicket"]> {
    const { metrics } = this.#options;
    const { taskId, key } = await this.#placeOf(result.ticket);
    const { outcome, workerId: worker } = result;
    for (let tries = 0; tries < completeTriesMax; tries++) {
      const event = { type: "result", taskId, token: null, outcome, worker } as const;
      const { type } = await this.#options.driver.submit(key.id, event);
      if (type === "accepted") metrics.result("accepted");
      const answer =
        type === "accepted" || type === "duplicate"
          ? ({ status: type === "accepted" ? "accepted" : "done" } as const)
          : await this.#refusal({ key, taskId });
      if (answer === undefined) continue;
      metrics.ticket("complete", answer.status);
      return answer;
    }
    throw new OrchyError("UNAVAILABLE", "The task keeps changing hands; try again.");
  }

  /** Undefined: nothing is in the way any more. */
  async #refusal(place: TaskPlace): Promise<TicketRefusal | undefined> {
    const { store } = this.#options;
    const task = await store.readTask(place);
    if (task === undefined) return { status: "stale" };
    if (task.state === "leased") return { status: "leased", leaseUntil: task.until! };
    const loaded = await store.load({ key: place.key, fields: [] });
    return loaded.outcome === "loaded" && loaded.held ? { status: "held" } : undefined;
  }

  /** Whether the result of a worker has ended the attempt. */
  async #isDone({ key, taskId }: TaskPlace): Promise<boolean> {
    const event = { type: "result", taskId, token: null, outcome: nothing, asks: true } as const;
    return (await this.#options.driver.submit(key.id, event)).type === "duplicate";
  }

  async ticketParameters(ticket: string): Promise<JsonText> {
    const task = await this.#options.store.readTask(await this.#placeOf(ticket));
    if (task !== undefined) return task.parameters;
    throw new OrchyError("NOT_FOUND", "The task of this ticket is over.");
  }

  async #placeOf(ticket: string): Promise<TaskPlace> {
    const { taskId } = await this.#options.relay.seal.read(ticket);
    const id = parseTaskId(taskId)?.executionId ?? "";
    return { key: executionKey(id, this.#options.store.partitions), taskId };
  }
}

const nothing: TaskOutcome = { ok: true, output: "null" };
