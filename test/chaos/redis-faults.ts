/** Faults of Redis, and of the way to it. */
import type { Chance } from "../support/chance.ts";
import { usedMemory } from "../support/redis.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Node, RedisBed } from "./redis.ts";
import { wayFaults } from "./ways.ts";

export class RedisFaults {
  readonly #bed: RedisBed;
  readonly #chance: Chance;

  constructor(bed: RedisBed, chance: Chance) {
    this.#bed = bed;
    this.#chance = chance;
  }

  /** What happens to one Redis and to a cluster alike. */
  get all(): readonly Fault[] {
    return [
      { name: "Redis: FUNCTION FLUSH", weight: 2, strike: () => this.#flush() },
      ...wayFaults("Redis", this.#bed.proxies, this.#chance),
      { name: "Redis: full", weight: 3, strike: () => this.#fill() },
    ];
  }

  get single(): readonly Fault[] {
    return [
      ...this.all,
      { name: "Redis: kill -9, restart", weight: 4, strike: () => this.#kill() },
    ];
  }

  async #kill(): Promise<Healed> {
    const node = this.#bed.nodes[0] as Node;
    await node.kill();
    await Bun.sleep(this.#chance.below(3_000));
    const atMs = performance.now();
    await node.start();
    return { atMs };
  }

  /** Its bound comes down to where starts are refused, or to what is in use and less. */
  async #fill(): Promise<Healed> {
    const { nodes } = this.#bed;
    const hit = this.#chance.percent(50) ? nodes : [this.#chance.pick(nodes)];
    const share = (85 + this.#chance.below(40)) / 100;
    for (const { client } of hit) {
      const used = await usedMemory(client);
      await client.config("SET", "maxmemory", Math.round(used / share));
    }
    await Bun.sleep(1_500 + this.#chance.below(3_500));
    for (const { client } of hit) await client.config("SET", "maxmemory", 0);
    return { atMs: performance.now() };
  }

  async #flush(): Promise<Healed> {
    const flush = async ({ client }: Node) => {
      await client.script("FLUSH");
      // A replica forgets its functions with its master.
      await client.call("FUNCTION", "FLUSH").catch((error: Error) => {
        if (!error.message.startsWith("READONLY")) throw error;
      });
    };
    await Promise.all(this.#bed.nodes.map(flush));
    return { atMs: performance.now() };
  }
}
