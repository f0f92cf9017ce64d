/**
 * A broker of the simulation: it loses nothing that it has acknowledged, delivers in any order, and
 * each message again until it is deleted. Sending fails before or after the message is there.
 */
import type { BrokerPlaces } from "../../src/brokers/brokers.ts";
import { BrokerFault, type OutgoingMessage } from "../../src/brokers/message.ts";
import type { Loop } from "./loop.ts";
import type { Process } from "./process.ts";
import type { Weather } from "./weather.ts";

export interface Delivered {
  readonly id: number;
  readonly body: string;
}

const hiddenMs = 6_000;

export class SimulatedBroker {
  readonly #loop: Loop;
  readonly #weather: Weather;
  readonly #messages = new Map<number, { readonly body: string; hiddenUntil: number }>();
  #sent = 0;

  constructor(loop: Loop, weather: Weather) {
    this.#loop = loop;
    this.#weather = weather;
  }

  /** As one server sees it. */
  placesOf(process: Process): BrokerPlaces {
    const send = (messages: readonly OutgoingMessage[]) =>
      new Promise<readonly (BrokerFault | undefined)[]>((resolve) => {
        const { fails, arrives } = this.#fate();
        this.#loop.in(this.#delay(), () => {
          if (arrives) for (const { body } of messages) this.#take(body);
          const fault = new BrokerFault("the broker is away", { permanent: false });
          const outcomes = messages.map(() => (fails ? fault : undefined));
          this.#loop.in(this.#delay(), () => process.deliver(() => resolve(outcomes)));
        });
      });
    const receiver = () => {
      throw new Error("nobody receives here");
    };
    return { reaches: () => true, sender: () => ({ send, close: async () => {} }), receiver };
  }

  #fate(): { readonly fails: boolean; readonly arrives: boolean } {
    const { chance, reached } = this.#loop;
    if (!this.#weather.isRough || chance.percent(60)) return { fails: false, arrives: true };
    reached.add("ticket not sent");
    return { fails: true, arrives: chance.percent(50) };
  }

  #delay(): number {
    const { chance } = this.#loop;
    return this.#weather.isRough && chance.percent(10) ? chance.below(15_000) : 1 + chance.below(5);
  }

  #take(body: string): void {
    const copies = this.#weather.isRough && this.#loop.chance.percent(20) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#sent += 1;
      const hiddenUntil = this.#loop.now + this.#loop.chance.below(50);
      this.#messages.set(this.#sent, { body, hiddenUntil });
    }
  }

  /** Some message that nobody has at the moment. */
  receive(): Delivered | undefined {
    const { chance, now } = this.#loop;
    const ready = [...this.#messages].filter(([, { hiddenUntil }]) => hiddenUntil <= now);
    if (ready.length === 0) return undefined;
    const [id, message] = chance.pick(ready);
    message.hiddenUntil = now + hiddenMs;
    return { id, body: message.body };
  }

  delete({ id }: Delivered): void {
    this.#messages.delete(id);
  }
}
