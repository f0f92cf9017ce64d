/**
 * A server of the simulation: the production runtime in a simulated process, ended and begun anew.
 */

import { defined } from "../../src/base/defined.ts";
import type { BrokerPlaces } from "../../src/brokers/brokers.ts";
import { createRuntime, type Runtime } from "../../src/runtime/runtime.ts";
import type { Store } from "../../src/store/store.ts";
import type { Logger } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import type { LossyBroker } from "../support/lossy-tickets.ts";
import type { Loop } from "./loop.ts";
import type { Address } from "./network.ts";
import { Process } from "./process.ts";
import type { Evaluate } from "./scripts.ts";
import { simulatedSandbox } from "./scripts.ts";
import type { Line } from "./store-line.ts";
import type { Weather } from "./weather.ts";

export interface ServerOptions {
  readonly loop: Loop;
  readonly weather: Weather;
  /** Shared by all servers; a server's own way to it. */
  readonly openLine: (line: Line) => Store;
  readonly evaluate: Evaluate;
  /** Carries tickets between them; absent: they have none. */
  readonly broker: LossyBroker | undefined;
  /** A server's own way to the broker. */
  readonly brokersOf?: ((process: Process) => BrokerPlaces) | undefined;
  /** Mistakes to be found: around what the runtime sees of the store, and around the runtime. */
  readonly wrapLine?: ((line: Store, process: Process, loop: Loop) => Store) | undefined;
  readonly wrapRuntime?: ((runtime: Runtime) => Runtime) | undefined;
}

const namespace = "simulation";
/** So long it takes until a server has measured anew how far its clock is off. */
const measureMs = 50;
const restartMs = 1_000;

export class SimulatedServer implements Address<Runtime> {
  readonly name: string;
  isCutOff = false;
  listening: { readonly process: Process; readonly service: Runtime } | undefined;
  readonly #options: ServerOptions;
  #starts = 0;

  constructor(name: string, options: ServerOptions) {
    this.name = name;
    this.#options = options;
  }

  start(): void {
    if (this.listening !== undefined) return;
    const { loop, evaluate, wrapLine, wrapRuntime, brokersOf } = this.#options;
    const process = new Process(loop, `${this.name}.${++this.#starts}`);
    loop.note(`${process.name} starts`);
    // Clocks that are kept in step are still some way apart.
    process.clockErrorMs = loop.chance.below(1_000) - 500;
    const { weather, openLine } = this.#options;
    const line = openLine({ loop, weather, process, onSkewed: () => this.#measureClock(process) });
    const runtime = createRuntime({
      store: wrapLine?.(line, process, loop) ?? line,
      sandbox: simulatedSandbox(process, evaluate),
      clock: process.clock,
      ids: process.ids,
      log: watchedLog(loop, process),
      metrics: new Metrics(),
      taskQueue: this.#options.broker?.connect(process.clock),
      namespace,
      ...defined({ brokers: brokersOf?.(process) }),
    });
    const service = wrapRuntime?.(runtime) ?? runtime;
    this.listening = { process, service };
    const addresses = { grpcAddress: this.name, httpAddress: this.name };
    const about = { startedAt: loop.now, version: "0", ...addresses };
    service.open({ id: process.ids.uuid(), name: this.name, ...about }).catch((error) => {
      loop.note(`${process.name} cannot start: ${error}`);
      this.kill();
      loop.in(restartMs, () => this.start());
    });
  }

  /** kill -9. */
  kill(): void {
    const { listening } = this;
    this.listening = undefined;
    listening?.process.end();
  }

  /** SIGTERM: it drains, ends, and is started again some time later. */
  terminate(restartAfterMs: number): void {
    const { listening } = this;
    if (listening === undefined) return;
    const { process, service } = listening;
    this.#options.loop.note(`${process.name} is asked to end`);
    const end = () => {
      if (this.listening !== listening) return;
      this.kill();
      this.#options.loop.in(restartAfterMs, () => this.start());
    };
    process.deliver(() => {
      service.drain();
      service.close().then(end, (error) => {
        this.#options.loop.violate(`${process.name} could not end: ${error}`);
      });
    });
  }

  stop(): void {
    this.listening?.process.stop();
  }

  goOn(): void {
    this.listening?.process.goOn();
  }

  setClock(errorMs: number): void {
    const process = this.listening?.process;
    if (process === undefined) return;
    this.#options.loop.note(`the clock of ${process.name} is ${errorMs} ms off`);
    process.clockErrorMs = errorMs;
  }

  #measureClock(process: Process): void {
    const { loop } = this.#options;
    loop.in(measureMs, () => {
      process.clockErrorMs = loop.chance.below(200) - 100;
    });
  }
}

/** Errors in the log report what must never happen: here they end the simulation. */
function watchedLog(loop: Loop, process: Process): Logger {
  // Stacks are left out: they differ between two runs of one seed.
  const note = (message: string, fields: object = {}) =>
    loop.note(`${process.name} logs: ${message} ${Object.values(fields).join(" ")}`);
  const log: Logger = {
    debug() {},
    info() {},
    warn: note,
    error: (message, fields = {}) => {
      note(message, fields);
      const stacks = Object.values(fields).map((value) =>
        value instanceof Error ? value.stack : String(value),
      );
      loop.violate(`${process.name} logs an error: ${message} ${stacks.join(" ")}`);
    },
    with: () => log,
  };
  return log;
}
