/**
 * A source under load: messages go where it reads, some of them twice and some that cannot be handled.
 * In the end each has started one execution or is a dead letter, and nothing else has happened.
 */
import type { IncomingMessage, Receiver, Sender } from "../../src/brokers/message.ts";
import type { Chance } from "../support/chance.ts";
import type { Client } from "./client.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";

/** A topic or queue that is there; the way of the run to it has no faults. */
export interface Place {
  /** As documents name it. */
  readonly address: string;
  readonly sender: Sender;
  /** A further consumer in the group of the source. What it does not acknowledge comes again soon. */
  join(): Receiver;
}

export interface SourcePlaces {
  readonly from: Place;
  readonly deadLetter: Place;
}

interface SourceOptions {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly chance: Chance;
  readonly places: SourcePlaces;
}

export interface Started {
  readonly status: string;
  readonly correlationId?: string;
}

/** What was sent, and what has become a dead letter. */
export interface Messages {
  readonly good: ReadonlySet<string>;
  readonly poison: ReadonlySet<string>;
  readonly letters: ReadonlySet<string>;
}

export const sourceWorkflow = "chaos-source";
export const sourceName = "chaos";
const path = `/v1/sources/${sourceName}`;
const sendEveryMs = 400;
const poisonPercent = 4;
const twicePercent = 20;
/** SQS hides for a minute what a server that was killed had taken; takeover and retries come on top. */
const boundMs = 240_000;
const shownMax = 10;

export class Source {
  readonly #options: SourceOptions;
  readonly #good = new Set<string>();
  readonly #poison = new Set<string>();
  readonly #letters = new Set<string>();
  #dead: Receiver | undefined;

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  async prepare(): Promise<void> {
    const { client, places } = this.#options;
    const body = {
      from: places.from.address,
      as: {
        start: {
          workflow: sourceWorkflow,
          input: { n: "$.message.value.n" },
          correlationId: "$.message.value.key",
        },
      },
      idempotencyKey: "$.message.value.key",
      deadLetter: places.deadLetter.address,
    };
    const answer = await client.surely({ method: "PUT", path, body });
    if (answer === undefined || answer.status >= 300) throw new Error(JSON.stringify(answer));
  }

  /** Until the signal says stop; then until the broker has all that was to be sent. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#sendSurely(this.#next());
      await Bun.sleep(sendEveryMs);
    }
  }

  /** A few new messages, some twice, and now and then one that was sent long ago. */
  #next(): readonly string[] {
    const { chance } = this.#options;
    const bodies = Array.from({ length: 1 + chance.below(3) }, () => this.#make());
    const again = bodies.filter(() => chance.percent(twicePercent));
    const old = chance.percent(twicePercent) ? [goodBody(1 + chance.below(this.#good.size))] : [];
    return [...bodies, ...again, ...old];
  }

  #make(): string {
    if (this.#good.size > 0 && this.#options.chance.percent(poisonPercent)) {
      const n = this.#poison.size + 1;
      const body = n % 2 === 0 ? `{"poison": ${n}` : `{"n": ${n}, "key": {}}`;
      this.#poison.add(body);
      return body;
    }
    const n = this.#good.size + 1;
    this.#good.add(keyOf(n));
    return goodBody(n);
  }

  async #sendSurely(bodies: readonly string[]): Promise<void> {
    const { ledger, places } = this.#options;
    const giveUpAt = performance.now() + boundMs;
    let due = bodies.map((body) => ({ body }));
    while (due.length > 0) {
      const outcomes = await places.from.sender.send(due);
      due = due.filter((_, i) => outcomes[i] !== undefined);
      if (due.length === 0) return;
      if (performance.now() > giveUpAt) {
        ledger.violate(
          `a message of the source cannot be sent: ${outcomes.find(Boolean)?.message}`,
        );
        return;
      }
      await Bun.sleep(500);
    }
  }

  get faults(): readonly Fault[] {
    return [
      { name: "source: a stranger takes messages", weight: 2, strike: () => this.#disturb() },
    ];
  }

  /** Another consumer takes messages, and goes without a word of them. */
  async #disturb(): Promise<Healed> {
    const { chance, places } = this.#options;
    const stranger = places.from.join();
    const stop = AbortSignal.timeout(2_000 + chance.below(6_000));
    while (!stop.aborted) {
      await stranger
        .receive({ limit: 10, waitMs: 1_000, signal: stop })
        .catch(() => Bun.sleep(200));
    }
    await stranger.close();
    return { atMs: performance.now() };
  }

  /** Which server reads it, by its name. */
  async holder(): Promise<string | undefined> {
    return (await this.#options.client.attempt({ method: "GET", path }))?.body.server;
  }

  /** Resolves when all that was sent has come to something, or must have by now. */
  async drain(list: () => Promise<readonly Started[]>): Promise<void> {
    const { ledger, places } = this.#options;
    const giveUpAt = performance.now() + boundMs;
    const isLate = () => performance.now() > giveUpAt;
    this.#dead = places.deadLetter.join();
    do {
      await this.#readLetters();
    } while (!isLate() && this.judge(await list()).length > 0);
    await this.#dead.close();
    for (;;) {
      const answer = await this.#options.client.attempt({ method: "GET", path });
      const { lag, inFlight } = answer?.body.status ?? {};
      if (lag === 0 && inFlight === 0) return;
      if (isLate())
        return ledger.violate(`the source is not done: ${JSON.stringify(answer?.body)}`);
      await Bun.sleep(1_000);
    }
  }

  async #readLetters(): Promise<void> {
    const signal = AbortSignal.timeout(2_000);
    const some = await this.#dead!.receive({ limit: 10, waitMs: 1_000, signal }).catch(
      (): readonly IncomingMessage[] => [],
    );
    for (const { body, headers } of some) {
      this.#letters.add(body);
      if (headers["orchy-dead-letter"] !== undefined) continue;
      this.#options.ledger.violate(`a dead letter does not say why it is one: ${body}`);
    }
    await this.#dead!.ack(some).catch(() => {});
    if (some.length > 0) await this.#readLetters();
  }

  /** What was lost, doubled or made up; one sentence each. */
  judge(started: readonly Started[]): readonly string[] {
    const [good, poison, letters] = [this.#good, this.#poison, this.#letters];
    return judgeMessages({ good, poison, letters }, started);
  }

  get counts(): string {
    return `${this.#good.size} good, ${this.#poison.size} poison`;
  }
}

function keyOf(n: number): string {
  return `message-${n}`;
}

function goodBody(n: number): string {
  return JSON.stringify({ n, key: keyOf(n) });
}

export function judgeMessages(
  { good, poison, letters }: Messages,
  started: readonly Started[],
): readonly string[] {
  const times = new Map<string, number>();
  for (const { correlationId = "" } of started) {
    times.set(correlationId, (times.get(correlationId) ?? 0) + 1);
  }
  const doubled = [...times].filter(([, count]) => count > 1);
  const lists = {
    "messages have started nothing": [...good].filter((key) => !times.has(key)),
    "messages have started several executions": doubled.map(([key]) => key),
    "executions were started by no message": [...times.keys()].filter((key) => !good.has(key)),
    "executions have not completed": started
      .filter(({ status }) => status !== "COMPLETED")
      .map(({ correlationId = "" }) => correlationId),
    "poison messages are not in the dead letters": [...poison].filter((one) => !letters.has(one)),
    "dead letters could have been handled": [...letters].filter((one) => !poison.has(one)),
  };
  return Object.entries(lists)
    .filter(([, some]) => some.length > 0)
    .map(([what, some]) => `${some.length} ${what}: ${some.slice(0, shownMax).join(", ")}`);
}
