/** Strikes with one fault after the other, and measures how soon each is got over. */
import type { Chance } from "../support/chance.ts";
import type { Client } from "./client.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";

export interface NemesisOptions {
  readonly faults: readonly Fault[];
  readonly client: Client;
  readonly ledger: Ledger;
  readonly chance: Chance;
}

/** From the healing of a fault to the next execution that goes through. */
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
    const { chance, ledger } = this.#options;
    while (!stop.aborted && this.#lottery.length > 0) {
      await Bun.sleep(300 + chance.below(calmMsMax));
      if (stop.aborted) return;
      // Those that did not come yet come first: even a short run has nearly all of them.
      const fresh = this.#lottery.filter(({ name }) => this.recoveries.get(name)?.length === 0);
      const fault = chance.pick(fresh.length > 0 ? fresh : this.#lottery);
      try {
        const healed = await fault.strike();
        await this.#recover(fault.name, healed);
      } catch (error) {
        ledger.violate(`"${fault.name}" did not heal: ${(error as Error).message}`);
      }
    }
  }

  async #recover(name: string, { atMs, url }: Healed): Promise<void> {
    const { client, ledger } = this.#options;
    while (!(await this.#probe(url ?? client.anyUrl()))) {
      if (performance.now() - atMs > recoveryMsMax) {
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
