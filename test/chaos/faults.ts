/** Faults of the processes of Orchy itself: servers and workers. */
import type { Chance } from "../support/chance.ts";
import type { Ledger } from "./ledger.ts";
import type { Orchy, Program } from "./processes.ts";

export interface Healed {
  /** By `performance.now()`. */
  readonly atMs: number;
  /** The server that was hit; absent: any will show that all is well. */
  readonly url?: string;
}

export interface Fault {
  readonly name: string;
  readonly weight: number;
  /** What was acknowledged may be lost by it: a replica that lags takes over. */
  readonly isLossy?: true;
  /** Brings the fault, lets it last, and heals it. */
  readonly strike: () => Promise<Healed>;
}

/** The drain limit of a server or worker, and what its last calls may take. */
const exitMsMax = 20_000;
/** Leases of the run last two seconds without a heartbeat. */
const longerThanALeaseMs = 2_500;
const longerThanHiddenMs = 1_500;
/** A server whose store is away just then cannot start; whoever watches over it tries again. */
const startTriesMs = 60_000;

interface Picked {
  readonly server: Program;
  readonly url: string;
}

export class ProcessFaults {
  readonly #orchy: Orchy;
  readonly #chance: Chance;
  readonly #ledger: Ledger;

  constructor(orchy: Orchy, chance: Chance, ledger: Ledger) {
    this.#orchy = orchy;
    this.#chance = chance;
    this.#ledger = ledger;
  }

  get all(): readonly Fault[] {
    const clock: Fault = { name: "server: clock set", weight: 2, strike: () => this.#setClock() };
    return [
      ...(this.#orchy.clocks.length > 0 ? [clock] : []),
      { name: "server: kill -9, restart", weight: 4, strike: () => this.#killServer() },
      { name: "all servers: kill -9, restart", weight: 1, strike: () => this.#killServers() },
      { name: "server: SIGSTOP past a lease", weight: 3, strike: () => this.#freezeServer() },
      { name: "servers: SIGTERM in turn", weight: 1, strike: () => this.#rollServers() },
      { name: "worker: kill -9", weight: 4, strike: () => this.#killWorker() },
      { name: "worker: SIGSTOP past a lease", weight: 4, strike: () => this.#freezeWorker() },
      { name: "worker: SIGTERM, restart", weight: 2, strike: () => this.#terminateWorker() },
    ];
  }

  /** Stops the server that reads a source until what it has taken is delivered to others. */
  outlasting(hiddenMs: number, holder: () => Promise<string | undefined>): Fault {
    const strike = async (): Promise<Healed> => {
      const i = /\d+$/.exec((await holder()) ?? "")?.[0];
      const picked = i === undefined ? this.#pickServer() : this.#serverAt(Number(i));
      return this.#freeze(picked, hiddenMs + longerThanHiddenMs);
    };
    return { name: "server: SIGSTOP past the visibility timeout", weight: 1, strike };
  }

  #pickServer(): Picked {
    return this.#serverAt(this.#chance.below(this.#orchy.servers.length));
  }

  #serverAt(i: number): Picked {
    return { server: this.#orchy.servers[i] as Program, url: this.#orchy.urls[i] as string };
  }

  #between(least: number, most: number): number {
    return least + this.#chance.below(most - least);
  }

  async #start(server: Program): Promise<void> {
    const giveUpAt = performance.now() + startTriesMs;
    for (;;) {
      try {
        return await server.start();
      } catch (error) {
        if (performance.now() > giveUpAt) {
          return this.#ledger.violate(`${server.name} cannot start: ${(error as Error).message}`);
        }
        await Bun.sleep(300);
      }
    }
  }

  async #killServer(): Promise<Healed> {
    const { server, url } = this.#pickServer();
    await server.kill();
    await Bun.sleep(this.#between(100, 3_000));
    const atMs = performance.now();
    await this.#start(server);
    return { atMs, url };
  }

  async #killServers(): Promise<Healed> {
    await Promise.all(this.#orchy.servers.map((server) => server.kill()));
    await Bun.sleep(this.#between(100, 2_000));
    const atMs = performance.now();
    await Promise.all(this.#orchy.servers.map((server) => this.#start(server)));
    return { atMs };
  }

  #freezeServer(): Promise<Healed> {
    return this.#freeze(this.#pickServer(), longerThanALeaseMs + this.#between(0, 3_500));
  }

  async #freeze({ server, url }: Picked, ms: number): Promise<Healed> {
    server.freeze();
    await Bun.sleep(ms);
    server.thaw();
    return { atMs: performance.now(), url };
  }

  /** It is not put right: servers follow the clock of the store. */
  async #setClock(): Promise<Healed> {
    const i = this.#chance.below(this.#orchy.clocks.length);
    const shiftsMs = [-3_600_000, -60_000, -700, 0, 700, 60_000, 3_600_000];
    this.#orchy.clocks[i]?.set(this.#chance.pick(shiftsMs));
    return { atMs: performance.now(), url: this.#orchy.urls[i] as string };
  }

  async #rollServers(): Promise<Healed> {
    for (const server of this.#orchy.servers) {
      await this.#terminate(server);
      await this.#start(server);
    }
    return { atMs: performance.now() };
  }

  async #terminate(program: Program): Promise<void> {
    const code = await program.terminate(exitMsMax);
    if (code === undefined) {
      this.#ledger.violate(`${program.name} did not end in ${exitMsMax} ms after SIGTERM`);
    } else if (code !== 0) {
      this.#ledger.violate(`${program.name} ended with the code ${code} after SIGTERM`);
    }
  }

  async #killWorker(): Promise<Healed> {
    const worker = this.#chance.pick(this.#orchy.workers);
    await worker.kill();
    const atMs = performance.now();
    await worker.start();
    return { atMs };
  }

  async #freezeWorker(): Promise<Healed> {
    const worker = this.#chance.pick(this.#orchy.workers);
    worker.freeze();
    await Bun.sleep(longerThanALeaseMs + this.#between(0, 3_000));
    worker.thaw();
    return { atMs: performance.now() };
  }

  async #terminateWorker(): Promise<Healed> {
    const worker = this.#chance.pick(this.#orchy.workers);
    // One that a poisonous task has killed meanwhile has no exit code to look at.
    await worker.terminate(exitMsMax);
    await worker.start();
    return { atMs: performance.now() };
  }
}
