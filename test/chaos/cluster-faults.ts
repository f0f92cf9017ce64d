/** Faults of a Redis Cluster: masters die and come back, change places with replicas, move slots. */
import type { Redis } from "ioredis";
import { makeKeys, slotOf } from "../../src/store/redis/keys.ts";
import type { Chance } from "../support/chance.ts";
import { until } from "../support/redis.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Node, RedisBed } from "./redis.ts";

interface Seat {
  readonly node: Node;
  readonly id: string;
  /** The id of its master. */
  readonly follows?: string;
}

/** Few at a time, so that for a while a part of the keys is here and a part is there. */
const keysPerMove = 3;
const movePauseMs = 10;
const moveTimeoutMs = 5_000;
/** Redis gives up after 5 s. */
const manualFailoverMs = 6_000;

export class ClusterFaults {
  readonly #bed: RedisBed;
  readonly #chance: Chance;
  readonly #bases: readonly string[];

  constructor(bed: RedisBed, chance: Chance, place: { namespace: string; partitions: number }) {
    this.#bed = bed;
    this.#chance = chance;
    this.#bases = makeKeys(place.namespace, place.partitions).bases;
  }

  get all(): readonly Fault[] {
    const lossy = { isLossy: true } as const;
    const [kill, blink] = [() => this.#killMaster(), () => this.#blink()];
    return [
      { name: "Cluster: master killed, failover", weight: 4, strike: kill, ...lossy },
      { name: "Cluster: master killed, back at once", weight: 2, strike: blink, ...lossy },
      { name: "Cluster: CLUSTER FAILOVER", weight: 3, strike: () => this.#failover() },
      { name: "Cluster: slots moved", weight: 4, strike: () => this.#moveSlots() },
    ];
  }

  /** Every slot served, every replica in step: what a fault needs to begin with. */
  async healthy(): Promise<void> {
    await until(async () => {
      // What loads its data does not answer yet.
      const seats = await this.#seats().catch(() => []);
      const infos = await Promise.all(
        this.#bed.nodes.map(async ({ client }) => ({
          cluster: (await client.call("CLUSTER", "INFO").catch(() => "")) as string,
          replication: await client.info("replication").catch(() => ""),
        })),
      );
      return (
        seats.filter(({ follows }) => follows !== undefined).length === 3 &&
        infos.every(({ cluster }) => cluster.includes("cluster_state:ok")) &&
        infos.every(({ replication }) => !replication.includes("master_link_status:down"))
      );
    }, 60_000);
  }

  async #seats(): Promise<readonly Seat[]> {
    return await Promise.all(
      this.#bed.nodes.map(async (node): Promise<Seat> => {
        const text = (await node.client.call("CLUSTER", "NODES")) as string;
        const line = text.split("\n").find((one) => one.includes("myself")) ?? "";
        const [id = "", , , follows = "-"] = line.split(" ");
        return { node, id, ...(follows !== "-" && { follows }) };
      }),
    );
  }

  async #pickPair(): Promise<{ readonly master: Seat; readonly replica: Seat }> {
    await this.healthy();
    const seats = await this.#seats();
    const replica = this.#chance.pick(seats.filter(({ follows }) => follows !== undefined));
    const master = seats.find(({ id }) => id === replica.follows) as Seat;
    return { master, replica };
  }

  async #untilMaster(seat: Seat, withinMs = 60_000): Promise<void> {
    await until(async () => {
      const text = (await seat.node.client.call("CLUSTER", "NODES")) as string;
      return text.includes("myself,master");
    }, withinMs);
  }

  async #killMaster(): Promise<Healed> {
    const { master, replica } = await this.#pickPair();
    await master.node.kill();
    await this.#untilMaster(replica);
    const atMs = performance.now();
    await Bun.sleep(this.#chance.below(2_000));
    await master.node.start();
    return { atMs };
  }

  async #blink(): Promise<Healed> {
    const { master } = await this.#pickPair();
    await master.node.kill();
    const atMs = performance.now();
    await master.node.start();
    return { atMs };
  }

  async #failover(): Promise<Healed> {
    const { replica } = await this.#pickPair();
    const ask = () => replica.node.client.call("CLUSTER", "FAILOVER");
    await ask();
    // A replica whose master does not hear it in time gives up, and says so only in its log.
    await this.#untilMaster(replica, manualFailoverMs).catch(async () => {
      await ask();
      await this.#untilMaster(replica);
    });
    return { atMs: performance.now() };
  }

  /** The slots of a few partitions, key by key, while they are used. */
  async #moveSlots(): Promise<Healed> {
    await this.healthy();
    for (let i = 0; i < 3; i++) {
      const masters = (await this.#seats()).filter(({ follows }) => follows === undefined);
      const base = this.#chance.pick(this.#bases);
      const slot = slotOf(base.slice(base.indexOf("{") + 1, base.indexOf("}")));
      const from = await this.#ownerOf(slot, masters);
      const to = this.#chance.pick(masters.filter(({ id }) => id !== from?.id));
      if (from !== undefined) await moveSlot({ slot, from, to, masters });
    }
    return { atMs: performance.now() };
  }

  async #ownerOf(slot: number, masters: readonly Seat[]): Promise<Seat | undefined> {
    const ranges = (await masters[0]?.node.client.call("CLUSTER", "SLOTS")) as [
      ...[number, number, [string, number, string]],
    ][];
    const [, , owner] = ranges.find(([from, to]) => from <= slot && slot <= to) ?? [];
    return masters.find(({ id }) => id === owner?.[2]);
  }
}

interface Move {
  readonly slot: number;
  readonly from: Seat;
  readonly to: Seat;
  readonly masters: readonly Seat[];
}

async function moveSlot({ slot, from, to, masters }: Move): Promise<void> {
  const setSlot = (client: Redis, ...args: string[]) =>
    client.call("CLUSTER", "SETSLOT", `${slot}`, ...args);
  await setSlot(to.node.client, "IMPORTING", from.id);
  await setSlot(from.node.client, "MIGRATING", to.id);
  for (;;) {
    const args = ["GETKEYSINSLOT", `${slot}`, `${keysPerMove}`];
    const keys = (await from.node.client.call("CLUSTER", ...args)) as string[];
    if (keys.length === 0) break;
    const place = ["127.0.0.1", `${to.node.port}`, "", "0", `${moveTimeoutMs}`];
    await from.node.client.call("MIGRATE", ...place, "KEYS", ...keys);
    await Bun.sleep(movePauseMs);
  }
  // First the new owner, then the old one: in between, a node with no keys asks the other way.
  const others = masters.filter(({ id }) => id !== to.id && id !== from.id);
  for (const { node } of [to, from, ...others]) await setSlot(node.client, "NODE", to.id);
}
