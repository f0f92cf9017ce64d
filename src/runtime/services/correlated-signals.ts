/**
 * Signals by correlationId: to all open executions that have it and whose workflow has a wait for
 * the event. Children have the correlationId of their parent; those that wait for nothing of the
 * kind are left alone.
 */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { waitedEventsOf } from "../../language/plan.ts";
import type { Cause } from "../../model/event.ts";
import { isOpen } from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";
import type { SignalSent } from "../../model/message.ts";
import type { Listing } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Driver } from "../driving/driver.ts";
import type { SubmitAnswer } from "../driving/mailbox.ts";
import type { Lists } from "./listing.ts";
import { unreadError } from "./refusals.ts";

/** Executions of a correlationId that are looked at for those that are open. */
const lookedMax = 2_000;
const pageSize = 100;

interface Options {
  readonly driver: Pick<Driver, "submit">;
  readonly plans: Pick<Plans, "get">;
  readonly lists: Pick<Lists, "page">;
}

interface CorrelatedSignal {
  readonly correlationId: string;
  readonly event: string;
  readonly payload: JsonText;
  /** The same at every target. */
  readonly cause?: Cause;
  /** Id of an execution that does not get it. */
  readonly except?: string;
  /** A repeat may find that a target has ended since this moment; absent: it is no repeat. */
  readonly firstSentAt?: number;
}

interface SentToOne extends SignalSent {
  /** Of an execution that has accepted it: whether an action took it, or it is kept for one. */
  readonly delivery?: "delivered" | "buffered";
  /** It had been accepted before. */
  readonly isRepeated: boolean;
}

interface SentToAll {
  readonly sent: readonly SentToOne[];
  /** Why no execution has it. */
  readonly refusal?: Refusal;
}

interface Refusal {
  readonly code: "NOT_FOUND" | "TOO_MANY";
  readonly message: string;
}

interface Targets {
  /** Ids of those that are open and may take it. */
  readonly open: string[];
  /** Ids of those that may have taken it before they ended. */
  readonly ended: string[];
  /** How many are open, and wait for no such event. */
  deaf: number;
}

export class CorrelatedSignals {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async send(signal: CorrelatedSignal): Promise<SentToAll> {
    const targets = await this.#targets(signal);
    const { open, ended } = targets;
    const { correlationId } = signal;
    if (open.length > limits.signalTargetsMax) {
      const message = `More than ${limits.signalTargetsMax} open executions of the correlationId ${correlationId} wait for ${signal.event}; none got the event.`;
      return { sent: [], refusal: { code: "TOO_MANY", message } };
    }
    const sent = await this.#submit([...open, ...ended], signal);
    const isOver = new Set(ended);
    const shown = sent.filter((one) => one.isRepeated || !isOver.has(one.executionId));
    if (shown.some(({ outcome }) => outcome === "accepted")) return { sent: shown };
    return { sent: shown, refusal: refusalOf(signal, targets, shown) };
  }

  async #targets(signal: CorrelatedSignal): Promise<Targets> {
    const { correlationId, except, firstSentAt = Number.POSITIVE_INFINITY } = signal;
    const targets: Targets = { open: [], ended: [], deaf: 0 };
    let cursor: string | undefined;
    for (let looked = 0; looked < lookedMax; looked += pageSize) {
      const page = { correlationId, limit: pageSize, ...defined({ cursor }) };
      const { items, cursor: next } = await this.#options.lists.page(page);
      for (const item of items) {
        const isOver = !isOpen(item.status);
        if (item.id === except || (isOver && (item.endedAt ?? 0) < firstSentAt)) continue;
        const mayTake = await this.#mayTake(item, signal.event);
        if (!isOver && !mayTake) targets.deaf += 1;
        else if (!isOver) targets.open.push(item.id);
        else if (mayTake && targets.ended.length < limits.signalTargetsMax) {
          targets.ended.push(item.id);
        }
      }
      cursor = next;
      if (cursor === undefined || targets.open.length > limits.signalTargetsMax) break;
    }
    return targets;
  }

  async #mayTake({ workflow, version }: Listing, event: string): Promise<boolean> {
    const events = waitedEventsOf(await this.#options.plans.get(workflow, version));
    return events === "any" || events.has(event);
  }

  /** All of them, though one fails: what has reached some of them must not be called unsent. */
  async #submit(ids: readonly string[], signal: CorrelatedSignal): Promise<readonly SentToOne[]> {
    const { event, payload, cause } = signal;
    const letter = { type: "signal", event, payload, ...defined({ cause }) } as const;
    const answers = await Promise.allSettled(
      ids.map(async (executionId) => {
        const answer = await this.#options.driver.submit(executionId, letter);
        return { executionId, ...outcomeOf(answer) };
      }),
    );
    const failures = answers.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    const sent = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (failures.length === 0) return sent;
    const reused = failures.find((one) => one instanceof OrchyError && one.code === "CONFLICT");
    if (reused !== undefined) throw reused;
    if (sent.every(({ outcome }) => outcome !== "accepted")) throw failures[0];
    const message =
      "Some executions have the signal, and of others the store did not say so; repeat the call with the same signalId.";
    throw new OrchyError("UNKNOWN_OUTCOME", message);
  }
}

export function outcomeOf(answer: SubmitAnswer): Omit<SentToOne, "executionId"> {
  const isRepeated = answer.type === "duplicate";
  switch (answer.type) {
    case "accepted":
      return {
        outcome: "accepted",
        delivery: answer.buffered === undefined ? "delivered" : "buffered",
        isRepeated,
      };
    case "not-found":
    case "gone":
      return { outcome: "not-found", isRepeated };
    case "invalid-state":
      return { outcome: "ended", isRepeated };
    case "too-many":
      return { outcome: "too-many", isRepeated };
    case "unread":
      throw unreadError();
    case "reused": {
      const message =
        "This signalId was used before for another payload of this event. Use a new one for each signal.";
      throw new OrchyError("CONFLICT", message);
    }
    default:
      return { outcome: "accepted", isRepeated };
  }
}

function refusalOf(
  { correlationId, event }: CorrelatedSignal,
  { deaf }: Targets,
  sent: readonly SentToOne[],
): Refusal {
  const [first] = sent;
  if (first !== undefined) {
    const message =
      sent.length === 1
        ? sentenceOf(first)
        : `None of ${sent.length} executions of the correlationId ${correlationId} could take the event.`;
    const isFull = sent.some(({ outcome }) => outcome === "too-many");
    return { code: isFull ? "TOO_MANY" : "NOT_FOUND", message };
  }
  const message =
    deaf === 0
      ? `No open execution has the correlationId ${correlationId}.`
      : `No open execution of the correlationId ${correlationId} has a wait for ${event}.`;
  return { code: "NOT_FOUND", message };
}

/** Why one execution has not taken a signal. */
export function sentenceOf({ executionId, outcome }: SignalSent): string {
  const sentences = {
    accepted: "",
    ended: `The execution ${executionId} has ended.`,
    "not-found": `There is no execution ${executionId}.`,
    "too-many": `The execution ${executionId} keeps as many signals as it can.`,
  } satisfies Record<SignalSent["outcome"], string>;
  return sentences[outcome];
}
