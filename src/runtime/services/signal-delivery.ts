/** Delivers what signal actions send: to one execution, or to those of a correlationId. */
import { defined } from "../../base/defined.ts";
import { pick } from "../../language/data/json-text.ts";
import type { ExecutionEvent } from "../../model/event.ts";
import type { SignalMessage, SignalSent } from "../../model/message.ts";
import type { OutboxMessage } from "../../store/store.ts";
import type { Driver } from "../driving/driver.ts";
import { causeOf } from "../shared/hash.ts";
import { type CorrelatedSignals, outcomeOf, sentenceOf } from "./correlated-signals.ts";

interface Options {
  readonly driver: Pick<Driver, "submit">;
  readonly correlated: Pick<CorrelatedSignals, "send">;
}

/** Resolves when the source has heard what became of it. */
export async function deliverSignal(
  options: Options,
  message: OutboxMessage,
  signal: SignalMessage,
): Promise<void> {
  const { sent, refusal } = await deliver(options, message, signal);
  const { handout } = signal;
  await options.driver.submit(message.key.id, {
    type: "signal-sent",
    handout,
    sent: sent.map(({ executionId, outcome }) => ({ executionId, outcome })),
    ...defined({ refusal }),
  });
}

interface Delivered {
  readonly sent: readonly SignalSent[];
  readonly refusal?: string | undefined;
}

async function deliver(
  { driver, correlated }: Options,
  message: OutboxMessage,
  { executionId, correlationId = "", sentAt, event, handout }: SignalMessage,
): Promise<Delivered> {
  const { key, body } = message;
  const payload = pick(body, ["payload"]) ?? "null";
  // Apart from all ids that callers may choose: those have no colon before them.
  const causeId = `:${key.id}:${sentAt}:${handout}`;
  const cause = causeOf("signal", causeId, { scope: event, body: payload });
  const letter = { event, payload, cause };
  if (executionId === undefined) {
    const to = { correlationId, except: key.id, firstSentAt: sentAt };
    const { sent, refusal } = await correlated.send({ ...to, ...letter });
    return { sent, refusal: refusal?.message };
  }
  const submitted: ExecutionEvent = { type: "signal", ...letter };
  const answer = await driver.submit(executionId, submitted);
  const one = { executionId, ...outcomeOf(answer) };
  return { sent: [one], refusal: one.outcome === "accepted" ? undefined : sentenceOf(one) };
}
