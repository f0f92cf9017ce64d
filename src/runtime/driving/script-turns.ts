/**
 * Scripts that wait in the store for their turn, as far as this server knows of them: it takes
 * them, workflow by workflow, as soon as its sandbox has room. Each is remembered until its timer
 * is due, as the server that claims the timer looks after it from then on; so two servers rarely
 * take the same one, and the commit decides where they do. What is forgotten here costs time: the
 * timer remains.
 */
import type { Clock } from "../../base/clock.ts";
import type { WaitingScript } from "../../model/decision.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { Turns } from "../../sandbox/turns.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";
import { findWaitingScripts } from "./waiting-scripts.ts";

/** Scripts waiting in the store that a server remembers, to take them as soon as it has room. */
const scriptsRememberedMax = 100_000;

interface ScriptTurnsOptions {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly log: Logger;
  /** Has the execution take its turn; resolves when the commit holds, and rejects freely. */
  readonly take: (executionId: string, handout: number) => Promise<unknown>;
}

interface Waiting extends WaitingScript {
  readonly executionId: string;
}

/**
 * Scripts from the store that wait in the sandbox, for each process: few, so that they end soon.
 */
const aheadMax = 4;
/**
 * Turns that are taken at the same time, for each process: reading an execution takes a while. They
 * may all come to the sandbox at once, and find room there: see limits.scriptsQueuedMin.
 */
const underWayMax = 8;

/** Of scripts that were found in the store. */
const unknownWorkflow = "";

export class ScriptTurns {
  readonly #options: ScriptTurnsOptions;
  readonly #waiting = new Turns<string, Waiting>();
  #underWay = 0;
  #finding: Promise<void> = Promise.resolve();
  #isScheduled = false;
  #isStopped = false;

  constructor(options: ScriptTurnsOptions) {
    this.#options = options;
    options.sandbox.onRoom(() => this.#schedule());
  }

  /** Waiting scripts that are remembered. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether a script of the workflow may start beside this many others of its decision. */
  hasRoom(workflow: string, asked: number): boolean {
    return !this.#waiting.has(workflow) && asked < this.#options.sandbox.room(workflow);
  }

  /** They wait, and the store knows it. Without the workflow they take turns among themselves. */
  add(workflow: string, executionId: string, scripts: readonly WaitingScript[]): void {
    if (this.#isStopped) return;
    for (const script of scripts) {
      if (this.#waiting.size >= scriptsRememberedMax) return;
      this.#waiting.put(workflow, `${executionId}:${script.handout}`, { ...script, executionId });
    }
    this.#schedule();
  }

  /** Where no other server can know of what waits, it is looked for. */
  start(): void {
    const { store, log } = this.#options;
    if (store.traits.shared) return;
    const found = (executionId: string, script: WaitingScript) => {
      this.add(unknownWorkflow, executionId, [script]);
      return !this.#isStopped;
    };
    this.#finding = findWaitingScripts(this.#options, found).catch((error) =>
      logFault(log, "waiting scripts could not be looked for", error),
    );
  }

  /** The server ends: others take what waits. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.clear();
    await this.#finding;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    this.#options.clock.soon(() => {
      this.#isScheduled = false;
      this.#takeSome();
    });
  }

  #takeSome(): void {
    const { sandbox, clock } = this.#options;
    const now = clock.now();
    const mayTake = (workflow: string) => {
      if (sandbox.room(workflow) === 0) return false;
      const isNext = workflow !== unknownWorkflow && !sandbox.hasQueued(workflow);
      return isNext || sandbox.queued < aheadMax * sandbox.processes;
    };
    while (this.#underWay < underWayMax * sandbox.processes) {
      const next = this.#waiting.take(mayTake);
      if (next === undefined) return;
      if (next.until > now) void this.#take(next);
    }
  }

  async #take({ executionId, handout }: Waiting): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#options.take(executionId, handout);
    } catch {
      // Its timer is still there.
    }
    this.#underWay -= 1;
    this.#schedule();
  }
}
