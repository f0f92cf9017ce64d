/**
 * Where messages go that cannot be handled: to a topic or queue, or else into the store, as do those
 * that the topic or queue refuses permanently.
 */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { Ration } from "../../base/ration.ts";
import type { BrokerAddress } from "../../brokers/address.ts";
import type { BrokerPlaces } from "../../brokers/brokers.ts";
import type { OutgoingMessage } from "../../brokers/message.ts";
import { cutMessage } from "../../language/data/cut.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { DeadLetter, ParkedMessages } from "./parked.ts";

/** What became of a message. */
const header = "orchy-dead-letter";

interface Options {
  readonly brokers: BrokerPlaces;
  readonly parked: ParkedMessages;
  readonly log: Logger;
  readonly clock: Clock;
}

export interface Burial {
  /** Resolves when the letter is kept there; some are logged. */
  bury(letter: DeadLetter): Promise<void>;
  close(): Promise<void>;
}

export function burialOf(
  source: string,
  to: BrokerAddress | undefined,
  { brokers, parked, log, clock }: Options,
): Burial {
  const ration = new Ration(clock, { linesMax: 10, windowMs: 60_000 });
  const sender = to && brokers.sender(to);

  async function send(letter: DeadLetter): Promise<void> {
    if (sender !== undefined && isOwn(source, letter)) {
      const reason = `${letter.reason} ${cameBack}`;
      return parked.add(source, { ...letter, reason });
    }
    const [fault] = sender === undefined ? [] : await sender.send([asMessage(source, letter)]);
    if (fault !== undefined && !fault.permanent) throw fault;
    if (sender !== undefined && fault === undefined) return;
    const reason = fault === undefined ? letter.reason : `${letter.reason} ${fault.message}`;
    await parked.add(source, { ...letter, reason });
  }

  return {
    async bury(letter) {
      await send(letter);
      const { message, reason, tries } = letter;
      const tell = (leftOut: number) =>
        log.warn("dead letters were left out of the log", { source, leftOut });
      if (!ration.allows("", tell)) return;
      log.warn("a message became a dead letter", { source, id: message.id, reason, tries });
    },
    close: async () => sender?.close(),
  };
}

/** A queue has several names: that one is the other is seen only by what comes from it. */
const cameBack =
  "It is a dead letter of this source already: its deadLetter is where its messages come from.";

function isOwn(source: string, { message: { headers } }: DeadLetter): boolean {
  try {
    return JSON.parse(headers[header] ?? "null")?.source === source;
  } catch {
    return false;
  }
}

/** The message as it was, with what became of it in one more header: SQS takes ten. */
function asMessage(source: string, { message, reason, tries }: DeadLetter): OutgoingMessage {
  const { body, key, headers, id, sentAt } = message;
  const about = JSON.stringify({ source, message: id, tries, reason: cutMessage(reason) });
  const more = { ...headers, [header]: about };
  return { body, id: `${source} ${id} ${sentAt}`, headers: more, ...defined({ key }) };
}
