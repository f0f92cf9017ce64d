/**
 * The sources that this server reads: it looks at intervals which there are, takes those that no live
 * server holds, and gives back those that were paused, changed or deleted.
 */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { BrokerPlaces } from "../../brokers/brokers.ts";
import { executionKey } from "../../model/ids.ts";
import type { SourceStatus } from "../../model/source.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Executions } from "../services/executions.ts";
import type { Operations } from "../services/operations.ts";
import { logFault } from "../shared/faults.ts";
import { Gate } from "../shared/gate.ts";
import type { ServerView } from "../shared/orchestrator.ts";
import { paceOf } from "../shared/pace.ts";
import { Rounds } from "../shared/rounds.ts";
import { type CompiledSource, compileSource } from "./compiled.ts";
import { burialOf } from "./dead-letters.ts";
import type { NamedSource, SourceDocuments } from "./documents.ts";
import { handlerOf } from "./handler.ts";
import type { SourceLeases } from "./leases.ts";
import type { ParkedMessages } from "./parked.ts";
import { Pump } from "./pump.ts";

export interface SourcesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly namespace: string;
  readonly brokers: BrokerPlaces;
  readonly executions: Pick<Executions, "start">;
  readonly operations: Pick<Operations, "signal" | "signalAll">;
  readonly documents: SourceDocuments;
  readonly leases: SourceLeases;
  readonly parked: ParkedMessages;
  /** Whether this server is the first to take what is in this partition. */
  readonly prefers: (partition: number) => boolean;
}

interface Held {
  readonly source: NamedSource;
  readonly pump: Pump;
  lag?: number | undefined;
  /** While the broker is asked for it, which may take long. */
  reading?: Promise<void> | undefined;
  /** Until it is given back, which may take long, too. */
  leaving?: Promise<void>;
}

/** What a source that is being taken says of itself. */
const beginning: SourceStatus = {
  state: "running",
  started: 0,
  signalled: 0,
  duplicates: 0,
  deadLetters: 0,
  inFlight: 0,
};

export class Sources {
  readonly #options: SourcesOptions;
  readonly #held = new Map<string, Held>();
  /** Seen without a holder at the last look: those that others prefer are left to them first. */
  #free = new Set<string>();
  readonly #gate = new Gate(limits.sourceHandledAtOnceMax);
  readonly #rounds: Rounds;
  readonly #lookMs: number;
  #looking: Promise<void> = Promise.resolve();
  #self: ServerView | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
    const { clock, log, store, metrics } = options;
    this.#lookMs = paceOf(store.traits).sourceLookMs;
    this.#rounds = new Rounds({
      clock,
      log,
      round: async () => {
        await this.#oneLook();
        return this.#lookMs;
      },
      failedRestMs: this.#lookMs,
      failure: "sources could not be looked at",
    });
    metrics.sources.readLag(() => [...this.#held].map(([name, { lag }]) => [name, lag]));
  }

  start(self: ServerView): void {
    this.#self = self;
    this.#rounds.start(0);
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    await this.#looking;
    await Promise.all([...this.#held.values()].map((held) => this.#letGo(held)));
  }

  /** What this server knows of a source that it holds. */
  statusOf(name: string): SourceStatus | undefined {
    const held = this.#held.get(name);
    return held && statusOf(held);
  }

  /** After a change of a source over this server. */
  soon(): void {
    this.#oneLook().catch(() => {});
  }

  /** One at a time. */
  #oneLook(): Promise<void> {
    const next = this.#looking.then(() => this.#look());
    this.#looking = next.catch(() => {});
    return next;
  }

  async #look(): Promise<void> {
    const saved = await this.#options.documents.all();
    const active = new Map(saved.filter(({ paused }) => !paused).map((one) => [one.name, one]));
    const outdated = [...this.#held.values()].filter(
      ({ source }) => active.get(source.name)?.version !== source.version,
    );
    for (const held of outdated) void this.#letGo(held);
    const free = new Set<string>();
    await Promise.all([...active.values()].map((source) => this.#hold(source, free)));
    this.#free = free;
  }

  async #hold(source: NamedSource, free: Set<string>): Promise<void> {
    const { leases, log, brokers } = this.#options;
    const self = this.#self;
    const { name } = source;
    if (self === undefined || !this.#rounds.isRunning) return;
    const held = this.#held.get(name);
    if (held?.leaving !== undefined) return;
    try {
      if (held !== undefined) {
        readLag(held);
        if (await leases.take(name, self, statusOf(held))) return;
        log.warn("another server has taken the source over", { source: name });
        void this.#letGo(held, { isOurs: false });
        return;
      }
      const compiled = compileSource(source.definition);
      if (!brokers.reaches(compiled.from)) return;
      if (!this.#isFirst(name)) {
        if ((await leases.of(name)) !== undefined) return;
        free.add(name);
        if (!this.#free.has(name)) return;
      }
      if (!(await leases.take(name, self, beginning))) return;
      const pump = this.#pumpOf(source, compiled);
      this.#held.set(name, { source, pump });
      pump.start();
      log.info("this server reads the source", { source: name, from: source.definition.from });
    } catch (error) {
      logFault(log, "a source could not be taken or kept", error, { source: name });
    }
  }

  #isFirst(name: string): boolean {
    const { store, prefers } = this.#options;
    return !store.traits.shared || prefers(executionKey(name, store.partitions).partition);
  }

  #pumpOf({ name }: NamedSource, compiled: CompiledSource): Pump {
    const { clock, log, metrics, brokers, namespace, parked } = this.#options;
    const group = `orchy.${namespace}.${name}`;
    return new Pump({
      name,
      receiver: brokers.receiver(compiled.from, { group }),
      handle: handlerOf(name, compiled, this.#options),
      burial: burialOf(name, compiled.deadLetter, { brokers, parked, log, clock }),
      // Executions are not ordered among each other; the signals of one are.
      keepsOrder: "signal" in compiled.definition.as,
      gate: this.#gate,
      clock,
      log,
      count: (outcome) => metrics.sources.message(name, outcome),
    });
  }

  #letGo(held: Held, { isOurs = true } = {}): Promise<void> {
    held.leaving ??= this.#leave(held, isOurs);
    return held.leaving;
  }

  /** A source that was changed is taken again after that. */
  async #leave({ source: { name }, pump }: Held, isOurs: boolean): Promise<void> {
    const { leases, log } = this.#options;
    try {
      await pump.stop();
      if (isOurs) await leases.release(name);
    } catch (error) {
      logFault(log, "a source could not be given back", error, { source: name });
    }
    this.#held.delete(name);
    if (this.#rounds.isRunning) this.soon();
  }
}

/** The next look shows it. */
function readLag(held: Held): void {
  held.reading ??= held.pump.lag().then((lag) => {
    held.lag = lag;
    held.reading = undefined;
  });
}

function statusOf({ pump, lag }: Held): SourceStatus {
  return { ...pump.status, ...defined({ lag }) };
}
