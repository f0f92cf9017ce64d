/**
 * Does what a message asks for: starts an execution, or sends a signal. Both may be repeated: the id of
 * the execution, or that of the signal, follows from the message, or from the key that the source's
 * template makes of it.
 */
import { defined } from "../../base/defined.ts";
import { OrchyError } from "../../base/errors.ts";
import { hashId } from "../../base/hash.ts";
import type { IncomingMessage } from "../../brokers/message.ts";
import type { SourceStart } from "../../model/source.ts";
import type { Executions } from "../services/executions.ts";
import type { Operations } from "../services/operations.ts";
import { type Asked, askedBy, type CompiledSource } from "./compiled.ts";

export type Handled = "started" | "signalled" | "duplicate";

interface Options {
  readonly executions: Pick<Executions, "start">;
  readonly operations: Pick<Operations, "signal" | "signalAll">;
  readonly namespace: string;
}

export type Handle = (message: IncomingMessage) => Promise<Handled>;

/** What it returns throws a Poison, an OrchyError or a StoreFault. */
export function handlerOf(name: string, source: CompiledSource, options: Options): Handle {
  const { as } = source.definition;
  return async (message) => {
    const asked = askedBy(source, message);
    // The moment, too: positions in a topic that is deleted and made again begin anew.
    const ownId = hashId("source", options.namespace, name, message.id, `${message.sentAt}`);
    return "start" in as && asked.kind === "start"
      ? start(as.start, asked, ownId, options)
      : signal(asked as Extract<Asked, { kind: "signal" }>, ownId, options);
  };
}

async function start(
  { workflow, version, priority }: SourceStart,
  { kind: _kind, idempotencyKey, ...asked }: Extract<Asked, { kind: "start" }>,
  ownId: string,
  { executions }: Options,
): Promise<Handled> {
  const by = idempotencyKey === undefined ? { executionId: ownId } : { idempotencyKey };
  try {
    const request = { workflow, ...asked, ...by, ...defined({ version, priority }) };
    return (await executions.start(request)).created ? "started" : "duplicate";
  } catch (error) {
    if (!(error instanceof OrchyError)) throw error;
    // The id is this message's alone: what differs is the source, which was changed in between.
    const isStarted = idempotencyKey === undefined && error.code === "CONFLICT";
    if (isStarted || error.code === "DELETED") return "duplicate";
    throw error;
  }
}

async function signal(
  { event, payload, to, idempotencyKey }: Extract<Asked, { kind: "signal" }>,
  ownId: string,
  { operations }: Options,
): Promise<Handled> {
  const request = { event, payload, signalId: idempotencyKey ?? ownId };
  if ("executionId" in to) {
    const { outcome } = await operations.signal({ id: to.executionId, ...request });
    return outcome === "duplicate" ? "duplicate" : "signalled";
  }
  const sent = await operations.signalAll({ correlationId: to.correlationId, ...request });
  const isNew = sent.some(({ outcome }) => outcome === "accepted");
  return isNew ? "signalled" : "duplicate";
}
