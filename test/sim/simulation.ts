/**
 * One simulation: servers, workers and clients over one store, faults for a while, then none, and
 * the question of `oracle.ts`: was every promise kept? All of it follows from the seed.
 */
import { Plans } from "../../src/runtime/catalogue/plans.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { RecordsDriver } from "../../src/store/records/driver.ts";
import type { Store } from "../../src/store/store.ts";
import { bounded } from "../support/bounded.ts";
import { LossyBroker } from "../support/lossy-tickets.ts";
import { SimulatedBroker } from "./broker.ts";
import { Client } from "./client.ts";
import { SimulatedConsumer } from "./consumer.ts";
import { Loop } from "./loop.ts";
import { Nemesis } from "./nemesis.ts";
import { Network } from "./network.ts";
import { Oracle } from "./oracle.ts";
import type { Process } from "./process.ts";
import { RecordsWorld } from "./records-world.ts";
import type { Evaluate } from "./scripts.ts";
import { SimulatedServer } from "./server.ts";
import { type Line, storeLine } from "./store-line.ts";
import { Weather } from "./weather.ts";
import { Witness } from "./witness.ts";
import { deep, delivered, makeWorkflows } from "./workflows.ts";

/** A mistake made on purpose, to see that it is found. */
export interface Mistake {
  readonly name: string;
  /** In the store itself. */
  readonly wrapStore?: (store: MemoryStore) => Store;
  /** In what the records store of one server sees of the database. */
  readonly wrapDriver?: (driver: RecordsDriver) => RecordsDriver;
  /** In what one server's runtime sees of the store. */
  readonly wrapLine?: (line: Store, process: Process, loop: Loop) => Store;
  /** In what workers and clients see of the runtime. */
  readonly wrapRuntime?: (runtime: Runtime) => Runtime;
}

export interface Report {
  readonly seed: number;
  /** The first promise that was broken. */
  readonly violation: string | undefined;
  readonly lastEvents: readonly string[];
  readonly fingerprint: number;
  readonly reached: ReadonlySet<string>;
  readonly callbacks: number;
  readonly executions: number;
  readonly simulatedMs: number;
}

const faultsMs = 40_000;
/** After the faults everything must have ended within this time. */
const boundMs = 15 * 60_000;
/** How often somebody looks after executions that wait for people. */
const careMs = 10_000;
/** After the faults, answers to callers that are gone and leases that nobody holds need so long. */
const calmAfterMs = 60_000;
/** What follows the last end (messages, removals, late answers) needs a while. */
const settleMs = 45_000;
/** No call keeps its caller waiting for longer; the longest are polls. */
const responseMs = 40_000;

/** What the servers share: the memory store, or the records store on a database in memory. */
export type SharedStore = "memory" | "records";

export interface SimulationOptions {
  readonly mistake?: Mistake;
  readonly shared?: SharedStore;
  /** Some tasks are delivered to a broker, whose consumers do them. */
  readonly consumers?: boolean;
}

export async function simulate(
  seed: number,
  evaluate: Evaluate,
  options: SimulationOptions = {},
): Promise<Report> {
  const loop = new Loop(seed);
  const world = new World(loop, evaluate, options);
  await loop.run(world.run());
  const { violation, lastEvents, fingerprint, reached, callbacks, elapsed } = loop;
  const executions = world.oracle.witness.lives.size;
  return {
    seed,
    violation,
    lastEvents,
    fingerprint,
    reached,
    callbacks,
    executions,
    simulatedMs: elapsed,
  };
}

/** What to show of a simulation that failed. */
export function describeFailure(
  { seed, violation, lastEvents }: Report,
  { shared = "memory", consumers = false }: SimulationOptions = {},
): string {
  const flags = `${shared === "memory" ? "" : ` --${shared}`}${consumers ? " --consumers" : ""}`;
  const again = `bun run simulate --seed ${seed}${flags}`;
  return [...lastEvents, "", `${violation}`, `Once more: ${again}`].join("\n");
}

class World {
  readonly oracle: Oracle;
  readonly #loop: Loop;
  readonly #evaluate: Evaluate;
  readonly #mistake: Mistake;
  readonly #base: Store;
  readonly #records: RecordsWorld | undefined;
  readonly #broker: LossyBroker | undefined;
  readonly #hasConsumers: boolean;

  constructor(
    loop: Loop,
    evaluate: Evaluate,
    { mistake = { name: "none" }, shared = "memory", consumers = false }: SimulationOptions,
  ) {
    this.#hasConsumers = consumers;
    this.#loop = loop;
    this.#evaluate = evaluate;
    this.#mistake = mistake;
    this.#broker = loop.seed % 3 === 0 ? new LossyBroker(loop.chance) : undefined;
    const partitions = loop.chance.pick([1, 2, 4]);
    if (shared === "records") {
      const { wrapDriver } = mistake;
      this.#records = new RecordsWorld(loop, { partitions, wrapDriver });
      this.#base = this.#records.observer;
    } else {
      const memory = new MemoryStore({ partitions });
      this.#base = mistake.wrapStore?.(memory) ?? memory;
    }
    this.oracle = new Oracle(loop, new Witness(loop, bounded(this.#base)));
    this.#records?.watchedBy(this.oracle.witness);
  }

  async run(): Promise<void> {
    const loop = this.#loop;
    const { chance } = loop;
    const workflows = makeWorkflows(chance, 4);
    if (this.#hasConsumers) workflows.push({ definition: delivered, isTidy: true });
    const plans = new Plans(this.#base);
    for (const { definition } of workflows) await plans.save(definition, loop.now);
    const weather = new Weather(chance);
    const network = new Network(loop, weather);
    const delivery = this.#hasConsumers ? new SimulatedBroker(loop, weather) : undefined;
    const servers = this.#makeServers(weather, delivery);
    const { oracle } = this;
    const definitions = workflows.map(({ definition }) => definition);
    const client = new Client({ loop, network, oracle, servers, workflows: definitions });
    const [all, none] = [chance.percent(60), chance.percent(50)];
    const takesJson = (worker: string) => all || (!none && /[13579]$/.test(worker));
    const workerOptions = { loop, network, weather, oracle, servers, takesJson };
    const workers = 1 + chance.below(3);
    const broker = this.#broker;
    const nemesis = new Nemesis({ loop, weather, servers, workerOptions, workers, broker });
    for (const name of delivery === undefined ? [] : ["consumer-1", "consumer-2"]) {
      await new SimulatedConsumer(name, { ...workerOptions, broker: delivery! }).registered;
    }
    const working = client.work(faultsMs, { starts: 18, others: 40 });
    await nemesis.rage(faultsMs, 1_000 + chance.below(8_000));
    nemesis.heal();
    await working;
    await loop.sleep(calmAfterMs);
    oracle.witness.leases.calmFrom = loop.now;
    const tidy = workflows.filter(({ isTidy }) => isTidy);
    const isPossible = nemesis.hasWorker(takesJson);
    await client.startCalmly(tidy.filter(({ definition }) => isPossible || definition !== deep));
    await this.#untilEnded(client);
    await loop.sleep(settleMs);
    for (const call of network.unanswered(responseMs)) loop.violate(`never answered: ${call}`);
    await oracle.checkEnd(new Set(tidy.map(({ definition }) => definition.name)), this.#evaluate);
    await this.#records?.checkLeft(oracle.witness);
  }

  #makeServers(weather: Weather, delivery: SimulatedBroker | undefined): SimulatedServer[] {
    const loop = this.#loop;
    const { wrapLine, wrapRuntime } = this.#mistake;
    const { store } = this.oracle.witness;
    const records = this.#records;
    const openLine = (line: Line) => records?.line(line) ?? storeLine({ ...line, store });
    const evaluate = this.#evaluate;
    const broker = this.#broker;
    const brokersOf = delivery && ((process: Process) => delivery.placesOf(process));
    const seen = { wrapLine, wrapRuntime, brokersOf };
    const parts = { loop, weather, openLine, broker, evaluate, ...seen };
    const count = 1 + loop.chance.below(3);
    return Array.from({ length: count }, (_, index) => {
      return new SimulatedServer(`server-${index + 1}`, parts);
    });
  }

  /** Somebody resumes what is paused and signals what waits; all else must go on by itself. */
  async #untilEnded(client: Client): Promise<void> {
    const until = this.#loop.now + boundMs;
    while (this.oracle.open.length > 0) {
      for (const { key, status, execution } of this.oracle.open) {
        if (status === "PAUSED") await client.operate(key.id, { operation: "resume" });
        for (const record of execution.records) {
          const [event] = record?.status === "WAITING" ? (record.events ?? []) : [];
          if (event !== undefined) await client.signal(key.id, event);
        }
      }
      if (this.#loop.now > until) return this.#stuck();
      await this.#loop.sleep(careMs);
    }
  }

  #stuck(): void {
    const shown = this.oracle.open.map(({ key, status, execution }) => {
      const records = execution.records.map((record, index) => `${index} ${record?.status}`);
      return `${key.id} is ${status} (${records.join(", ")})`;
    });
    this.#loop.violate(`stuck: ${shown.join("; ")}`);
  }
}
