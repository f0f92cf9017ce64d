/** Delivers what signal actions send: to one execution, or to all open ones of a correlationId. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { pick } from "../../language/data/json-text.ts";
import type { ExecutionEvent } from "../../model/event.ts";
import { isOpen } from "../../model/execution.ts";
import type { SignalMessage, SignalSent } from "../../model/message.ts";
import type { OutboxMessage } from "../../store/store.ts";
import type { Driver } from "../driving/driver.ts";
import type { SubmitAnswer } from "../driving/mailbox.ts";
import { causeOf } from "../shared/hash.ts";
import type { Lists } from "./listing.ts";

/** Executions of a correlationId that are looked at for those that are open. */
const lookedMax = 2_000;
const pageSize = 100;

interface Options {
  readonly driver: Pick<Driver, "submit">;
  readonly lists: Pick<Lists, "page">;
}

/** Resolves when the source has heard what became of it. */
export async function deliverSignal(
  options: Options,
  message: OutboxMessage,
  signal: SignalMessage,
): Promise<void> {
  const targets = await targetsOf(options, message, signal);
  const sent: SignalSent[] = [];
  if (targets.length <= limits.signalTargetsMax) {
    const event = eventOf(message, signal);
    for (const id of targets) {
      const answer = await options.driver.submit(id, event);
      sent.push({ executionId: id, outcome: outcomeOf(answer) });
    }
  }
  const refusal = refusalOf(signal, targets.length, sent);
  const { handout } = signal;
  await options.driver.submit(message.key.id, {
    type: "signal-sent",
    handout,
    sent,
    ...defined({ refusal }),
  });
}

/** Of a message that was delivered before, those that have ended since are among them. */
async function targetsOf(
  { lists }: Options,
  { key }: OutboxMessage,
  { executionId, correlationId = "", sentAt }: SignalMessage,
): Promise<readonly string[]> {
  if (executionId !== undefined) return [executionId];
  const found: string[] = [];
  let cursor: string | undefined;
  for (let looked = 0; looked < lookedMax; looked += pageSize) {
    const page = await lists.page({ correlationId, limit: pageSize, ...defined({ cursor }) });
    for (const { id, status, endedAt = 0 } of page.items) {
      if (id !== key.id && (isOpen(status) || endedAt >= sentAt)) found.push(id);
    }
    cursor = page.cursor;
    if (cursor === undefined || found.length > limits.signalTargetsMax) break;
  }
  return found;
}

/** The same for each target. */
function eventOf(
  { key, body }: OutboxMessage,
  { event, sentAt, handout }: SignalMessage,
): ExecutionEvent {
  const payload = pick(body, ["payload"]) ?? "null";
  // Apart from all ids that callers may choose: those have no colon before them.
  const cause = causeOf("signal", `:${key.id}:${sentAt}:${handout}`, {
    scope: event,
    body: payload,
  });
  return { type: "signal", event, payload, cause };
}

function outcomeOf({ type }: SubmitAnswer): SignalSent["outcome"] {
  switch (type) {
    case "not-found":
    case "gone":
      return "not-found";
    case "invalid-state":
      return "ended";
    case "too-many":
      return "too-many";
    default:
      return "accepted";
  }
}

function refusalOf(
  { executionId, correlationId }: SignalMessage,
  found: number,
  sent: readonly SignalSent[],
): string | undefined {
  if (found > limits.signalTargetsMax) {
    return `More than ${limits.signalTargetsMax} open executions have the correlationId ${correlationId}; none got the event.`;
  }
  if (sent.some(({ outcome }) => outcome === "accepted")) return undefined;
  const [first] = sent;
  if (first === undefined) return `No open execution has the correlationId ${correlationId}.`;
  const sentences = {
    accepted: "",
    ended: `The execution ${first.executionId} has ended.`,
    "not-found": `There is no execution ${first.executionId}.`,
    "too-many": `The execution ${first.executionId} keeps as many signals as it can.`,
  } satisfies Record<SignalSent["outcome"], string>;
  return executionId !== undefined || sent.length === 1
    ? sentences[first.outcome]
    : `None of ${sent.length} executions of the correlationId ${correlationId} could take the event.`;
}
