/**
 * Sends tickets to brokers. A ticket is in the outbox of its execution until this has it: it is sent,
 * or parked as a document where the broker does not take it, so that what else the execution sends
 * does not wait for the broker. ../loops/parked-tickets.ts sends those again. A crash in between
 * sends a ticket twice, and loses none.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock, Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { parseBrokerAddress } from "../../brokers/address.ts";
import type { BrokerPlaces } from "../../brokers/brokers.ts";
import type { OutgoingMessage, Sender } from "../../brokers/message.ts";
import { executionKey, parseTaskId } from "../../model/ids.ts";
import type { TicketMessage } from "../../model/message.ts";
import { readHeader } from "../../model/task-header.ts";
import type { Store, StoredTask } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { Gate } from "../shared/gate.ts";
import { parkedTicket } from "../shared/parked-tickets.ts";
import { RelayTarget } from "./relay-target.ts";
import { TicketSeal } from "./ticket-seal.ts";

interface RelayOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ids: Ids;
  /** Absent: tickets stay parked. */
  readonly brokers?: Pick<BrokerPlaces, "sender"> | undefined;
}

/** Places whose state is remembered. */
const targetsMax = 1_000;
/** Tasks that are read at the same time. */
const readsMax = 32;
const charsMax = 64 * 1024 * 1024;

type Ticket = Pick<TicketMessage, "taskId" | "to">;

export class Relay {
  readonly seal: TicketSeal;
  readonly #options: RelayOptions;
  /** Parameters that are read are large, perhaps, and small in a message. */
  readonly #gate = new Gate(readsMax);
  /** On their way to all places. */
  #chars = 0;
  readonly #targets = new BoundedMap<string, RelayTarget>(targetsMax);

  constructor(options: RelayOptions) {
    this.#options = options;
    this.seal = new TicketSeal(options);
  }

  /** Of an outbox. */
  async take(ticket: Ticket): Promise<void> {
    if (await this.send(ticket)) return;
    // It is there already where the message was delivered before.
    await this.#options.store.putDocument({ ...parkedTicket.document(ticket), expectedVersion: 0 });
    this.#count(ticket, "parked");
  }

  /** True: the broker has it, or its task is over. */
  async send(ticket: Ticket): Promise<boolean> {
    const target = this.#target(ticket.to);
    if (!target.isOpen || this.#chars > charsMax) return false;
    const message = await this.#gate.pass(() => this.#messageOf(ticket));
    if (message === undefined) return true;
    const chars = message.body.length;
    this.#chars += chars;
    const isSent = await target.send(message);
    this.#chars -= chars;
    if (isSent) this.#count(ticket, "sent");
    return isSent;
  }

  /** Undefined: the task is over. */
  async #messageOf({ taskId }: Ticket): Promise<OutgoingMessage | undefined> {
    const { store } = this.#options;
    const executionId = parseTaskId(taskId)?.executionId ?? "";
    const key = executionKey(executionId, store.partitions);
    const task = await store.readTask({ key, taskId });
    if (task === undefined) return undefined;
    const { name: action } = readHeader(task.header);
    const ticket = await this.seal.make({ taskId, action });
    const body = bodyOf({ ticket, taskId, executionId, task });
    return { body, key: executionId, id: taskId, headers: { action } };
  }

  /** What is wrong with which brokers; undefined: nothing. */
  complaint(): string | undefined {
    const complaints = [...this.#targets.values()].flatMap(({ complaint }) => complaint ?? []);
    return complaints.length === 0 ? undefined : complaints.join(" ");
  }

  #target(address: string): RelayTarget {
    const known = this.#targets.get(address);
    if (known !== undefined) return known;
    const target = new RelayTarget({ ...this.#options, address, open: () => this.#open(address) });
    this.#targets.set(address, target);
    return target;
  }

  #open(address: string): Sender {
    const parsed = parseBrokerAddress(address);
    if ("problem" in parsed) throw new Error(`${address} ${parsed.problem}`);
    if (this.#options.brokers === undefined) throw new Error("this server has no brokers");
    return this.#options.brokers.sender(parsed.value);
  }

  #count({ to }: Ticket, outcome: "sent" | "parked"): void {
    this.#options.metrics.ticketSent(to.slice(0, to.indexOf(":")), outcome);
  }
}

interface Offered {
  readonly ticket: string;
  readonly taskId: string;
  readonly executionId: string;
  readonly task: StoredTask;
}

/** Parameters stay the text that they are. */
function bodyOf({ ticket, taskId, executionId, task }: Offered): string {
  const { workflow, version, actionKey, name, attempt, ...more } = readHeader(task.header);
  const { index, item, correlationId, traceContext, traceState, offeredAt } = more;
  const queuedUntil = task.state === "queued" ? task.until : undefined;
  const head = {
    ticket,
    taskId,
    executionId,
    workflow,
    workflowVersion: version,
    actionId: actionKey,
    action: name,
    attempt,
    ...defined({ index, correlationId, traceContext, traceState }),
    ...defined({ offeredAt: iso(offeredAt), deadline: iso(queuedUntil) }),
    timeoutSeconds: task.timeoutMs / 1_000,
  };
  const values = `"parameters":${task.parameters}${item === undefined ? "" : `,"item":${item}`}`;
  const isLarge = Buffer.byteLength(values) > limits.ticketParametersBytesMax;
  const rest = isLarge ? `"parametersUrl":"/v1/tasks/${ticket}/parameters"` : values;
  return `${JSON.stringify(head).slice(0, -1)},${rest}}`;
}

function iso(moment: number | undefined): string | undefined {
  return moment === undefined ? undefined : new Date(moment).toISOString();
}
