/** Brings faults upon servers and workers, one after the other, and heals them all in the end. */
import type { LossyBroker } from "../support/lossy-tickets.ts";
import type { Loop } from "./loop.ts";
import type { SimulatedServer } from "./server.ts";
import type { Weather } from "./weather.ts";
import { SimulatedWorker, type WorkerOptions } from "./worker.ts";

export interface NemesisOptions {
  readonly loop: Loop;
  readonly weather: Weather;
  readonly servers: readonly SimulatedServer[];
  readonly workerOptions: WorkerOptions;
  readonly workers: number;
  readonly broker: LossyBroker | undefined;
}

const hourMs = 3_600_000;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #workers: SimulatedWorker[] = [];
  #workersMade = 0;
  #isOver = false;

  constructor(options: NemesisOptions) {
    this.#options = options;
    for (const server of options.servers) server.start();
    for (let index = 0; index < options.workers; index++) this.#startWorker();
  }

  #startWorker(): void {
    const worker = new SimulatedWorker(
      `worker-${++this.#workersMade}`,
      this.#options.workerOptions,
    );
    this.#workers.push(worker);
  }

  /** How long; each fault heals by itself or at the end. */
  async rage(ms: number, pauseMs: number): Promise<void> {
    const { loop } = this.#options;
    const until = loop.now + ms;
    while (loop.now < until) {
      await loop.sleep(loop.chance.below(2 * pauseMs));
      this.#strike();
    }
  }

  #strike(): void {
    const { loop, servers, weather, broker } = this.#options;
    const { chance } = loop;
    const server = chance.pick(servers);
    const ms = chance.percent(70) ? chance.below(5_000) : chance.below(40_000);
    switch (chance.below(broker === undefined ? 10 : 11)) {
      case 0:
      case 1:
        server.kill();
        this.#later(ms, () => server.start());
        break;
      case 2:
        server.terminate(chance.below(5_000));
        break;
      case 3:
        server.stop();
        this.#later(ms, () => server.goOn());
        break;
      case 4:
        server.setClock(chance.percent(50) ? chance.below(1_600) - 800 : jump(chance.below(6)));
        break;
      case 5:
        server.isCutOff = true;
        this.#later(ms, () => {
          server.isCutOff = false;
        });
        break;
      case 6:
        loop.note(`the store is down for ${ms} ms`);
        weather.storeDownUntil = loop.now + ms;
        break;
      case 7:
        if (chance.percent(30)) for (const one of servers) one.kill();
        this.#later(ms, () => {
          for (const one of servers) one.start();
        });
        break;
      case 8:
        this.#killWorker(ms);
        break;
      case 9:
        this.#stopWorker(ms);
        break;
      case 10:
        this.#loseBroker(ms);
        break;
    }
  }

  #killWorker(ms: number): void {
    const worker = this.#options.loop.chance.pick(this.#workers);
    if (worker.process.hasEnded) return;
    worker.process.end();
    this.#later(ms, () => this.#startWorker());
  }

  #stopWorker(ms: number): void {
    const { process } = this.#options.loop.chance.pick(this.#workers);
    process.stop();
    this.#later(ms, () => process.goOn());
  }

  #loseBroker(ms: number): void {
    const { loop, broker } = this.#options;
    if (broker === undefined) return;
    loop.note(`the broker is away for ${ms} ms`);
    broker.isAway = true;
    this.#later(ms, () => {
      broker.isAway = false;
    });
  }

  #later(ms: number, callback: () => void): void {
    this.#options.loop.in(ms, () => {
      if (!this.#isOver) callback();
    });
  }

  /** Whether one of these is at work. */
  hasWorker(fits: (name: string) => boolean): boolean {
    return this.#workers.some(({ process }) => !process.hasEnded && fits(process.name));
  }

  /** From now on everything works, and everybody is there. */
  heal(): void {
    const { loop, weather, servers, workers, broker } = this.#options;
    if (broker !== undefined) broker.isAway = false;
    loop.note("everything heals");
    this.#isOver = true;
    weather.clear();
    for (const server of servers) {
      server.isCutOff = false;
      server.start();
      server.setClock(0);
      server.goOn();
    }
    for (const { process } of this.#workers) process.goOn();
    const alive = this.#workers.filter(({ process }) => !process.hasEnded).length;
    for (let missing = workers - alive; missing > 0; missing--) this.#startWorker();
  }
}

function jump(choice: number): number {
  return [-hourMs, hourMs, -5_000, 5_000, -60_000, 60_000][choice]!;
}
