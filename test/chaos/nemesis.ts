/** Strikes with one fault after the other, and measures how soon each is got over. */
import type { Chance } from "../support/chance.ts";
import type { Client } from "./client.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";

/** How long each of several lanes has had a fault that was not healed, in milliseconds. */
export class Outages {
  readonly #lanes = new Map<object, { sumMs: number; since: number | undefined }>();

  async during<T>(lane: object, strike: () => Promise<T>): Promise<T> {
    const outage = this.#lanes.get(lane) ?? { sumMs: 0, since: undefined };
    this.#lanes.set(lane, outage);
    const since = performance.now();
    outage.since = since;
    try {
      return await strike();
    } finally {
      outage.sumMs += performance.now() - since;
      outage.since = undefined;
    }
  }

  /** Of all lanes but this one. */
  msBeside(lane: object): number {
    const now = performance.now();
    let sum = 0;
    for (const [one, { sumMs, since = now }] of this.#lanes) {
      if (one !== lane) sum += sumMs + now - since;
    }
    return sum;
  }
}

export interface NemesisOptions {
  readonly faults: readonly Fault[];
  readonly client: Client;
  readonly ledger: Ledger;
  readonly chance: Chance;
  /** Shared by all lanes. */
  readonly outages: Outages;
}

/**
 * From the healing of a fault to the next execution that goes through, while no fault of another lane
 * strikes: a database that is being started anew takes as long as it takes.
 */
const recoveryMsMax = 60_000;
const calmMsMax = 2_000;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #lottery: readonly Fault[];
  readonly recoveries = new Map<string, number[]>();
  #probes = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
    this.#lottery = options.faults.flatMap((fault) => Array(fault.weight).fill(fault));
    for (const { name } of options.faults) this.recoveries.set(name, []);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { chance, ledger, outages } = this.#options;
    while (!stop.aborted && this.#lottery.length > 0) {
      await Bun.sleep(300 + chance.below(calmMsMax));
      if (stop.aborted) return;
      // Those that did not come yet come first: even a short run has nearly all of them.
      const fresh = this.#lottery.filter(({ name }) => this.recoveries.get(name)?.length === 0);
      const fault = chance.pick(fresh.length > 0 ? fresh : this.#lottery);
      try {
        const healed = await outages.during(this, () => fault.strike());
        await this.#recover(fault.name, healed);
      } catch (error) {
        ledger.violate(`"${fault.name}" did not heal: ${(error as Error).message}`);
      }
    }
  }

  async #recover(name: string, { atMs, url }: Healed): Promise<void> {
    const { client, ledger, outages } = this.#options;
    const besideMs = outages.msBeside(this);
    while (!(await this.#probe(url ?? client.anyUrl()))) {
      const passedMs = performance.now() - atMs;
      if (passedMs - (outages.msBeside(this) - besideMs) > recoveryMsMax) {
        ledger.violate(`nothing goes through ${url ?? "any server"} a minute after "${name}"`);
        break;
      }
    }
    this.recoveries.get(name)?.push(performance.now() - atMs);
  }

  /** One execution from start to end through one server. */
  async #probe(url: string): Promise<boolean> {
    const { client } = this.#options;
    const body = { workflow: "chaos-probe", input: { n: ++this.#probes, route: "a" } };
    const start = { method: "POST", path: "/v1/executions?wait=3", body, timeoutMs: 4_000 };
    const answer = await client.attempt(start, url);
    if (answer?.status === 200 && answer.body.status === "COMPLETED") return true;
    await Bun.sleep(30);
    return false;
  }
}
