/**
 * A worker of the simulation: polls with results riding along, heartbeats, gives tasks back,
 * repeats what was not answered, as the wire asks of workers in any language. It is slower, more
 * forgetful and ruder than the library, whose own clock and connections are real.
 */
import { OrchyError } from "../../src/base/errors.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { ResultSent } from "../../src/runtime/shared/orchestrator.ts";
import type { PolledTask } from "../../src/runtime/shared/polled-task.ts";
import type { Loop } from "./loop.ts";
import type { Address, Network } from "./network.ts";
import type { Oracle } from "./oracle.ts";
import { outcomeOf } from "./outcomes.ts";
import { Process } from "./process.ts";
import type { Weather } from "./weather.ts";
import { actionDefinitions, actionNames, queues } from "./workflows.ts";

export interface WorkerOptions {
  readonly loop: Loop;
  readonly network: Network;
  readonly weather: Weather;
  readonly oracle: Oracle;
  readonly servers: readonly Address<Runtime>[];
  /** The others are given parameters as Struct. */
  readonly takesJson: (worker: string) => boolean;
}

interface Held {
  readonly task: PolledTask;
  beatAt: number;
}

const concurrency = 8;
const pollers = 2;
const pollWaitMs = 20_000;
const callTimeoutMs = 10_000;
const beatMs = 500;

export class SimulatedWorker {
  readonly process: Process;
  readonly #options: WorkerOptions;
  readonly #heartbeats: boolean;
  readonly #held = new Map<string, Held>();
  #results: ResultSent[] = [];
  #server: number;
  #polls = 0;
  #completing = false;

  constructor(name: string, options: WorkerOptions) {
    this.#options = options;
    this.process = new Process(options.loop, name);
    const { chance } = this.process;
    this.#server = chance.below(options.servers.length);
    this.#heartbeats = chance.percent(80);
    options.loop.note(`${name} starts`);
    void this.#register();
  }

  /** Until a server knows the actions; then work begins. */
  async #register(): Promise<void> {
    for (const definition of actionDefinitions) {
      for (;;) {
        const saved = await this.#call("register", callTimeoutMs, (service) =>
          service.saveAction(definition, { lenient: false }),
        );
        if (saved !== undefined) break;
        await this.#sleep(200);
      }
    }
    this.#send();
    this.#beat();
  }

  /** Undefined without an answer, after a pause, and the next call goes elsewhere. */
  async #call<Answer>(
    name: string,
    timeoutMs: number,
    serve: (service: Runtime, abort: AbortSignal) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const { network, servers, loop } = this.#options;
    const to = servers[this.#server % servers.length]!;
    try {
      return await network.call({ from: this.process, to, name, timeoutMs, serve });
    } catch (error) {
      loop.note(`${this.process.name} ${name} at ${to.name}: ${(error as Error).message}`);
      if (error instanceof OrchyError) this.#options.oracle.refused(error);
      this.#server += 1;
      await this.#sleep(50 + this.process.chance.below(500));
      return undefined;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.process.clock.after(ms, resolve));
  }

  #send(): void {
    while (this.#polls < pollers && this.#room > 0) void this.#poll();
    if (this.#results.length > 0 && !this.#completing) void this.#complete();
  }

  get #room(): number {
    return concurrency - this.#held.size;
  }

  async #poll(): Promise<void> {
    this.#polls += 1;
    const { process } = this;
    const waitMs = process.chance.percent(20) ? 0 : pollWaitMs;
    const maxTasks = 1 + process.chance.below(this.#room);
    const results = this.#results.splice(0);
    const answer = await this.#call("poll", waitMs + callTimeoutMs, async (service, abort) => {
      const given = await service.poll({
        actions: actionNames,
        queues,
        maxTasks,
        waitMs,
        abort,
        results,
        workerId: process.name,
        heartbeats: this.#heartbeats,
        structOnly: !this.#takesJson,
      });
      await this.#options.oracle.resultsAnswered(results, given.results);
      return given;
    });
    this.#polls -= 1;
    if (answer === undefined) this.#results.unshift(...results);
    else {
      this.#settle(results, answer.results);
      if (answer.draining) this.#server += 1;
      for (const task of answer.tasks) this.#take(task);
      if (answer.tasks.length === 0) await this.#sleep(waitMs === 0 ? 300 : 20);
    }
    this.#send();
  }

  async #complete(): Promise<void> {
    this.#completing = true;
    const { name } = this.process;
    const results = this.#results.splice(0);
    const answers = await this.#call("complete", callTimeoutMs, async (service) => {
      const given = await service.complete(results, name);
      await this.#options.oracle.resultsAnswered(results, given);
      return given;
    });
    this.#completing = false;
    if (answers === undefined) this.#results.unshift(...results);
    else this.#settle(results, answers);
    this.#send();
  }

  #settle(results: readonly ResultSent[], answers: readonly string[]): void {
    const { clock, chance } = this.process;
    for (const [index, result] of results.entries()) {
      const again = answers[index] === "retry" || (this.#isRough && chance.percent(4));
      if (again) clock.after(500 + chance.below(4_000), () => this.#add(result));
    }
  }

  #add(result: ResultSent): void {
    this.#results.push(result);
    // A while for others to come along; a poll that is due takes them.
    this.process.clock.after(1 + this.process.chance.below(5), () => this.#send());
  }

  get #takesJson(): boolean {
    return this.#options.takesJson(this.process.name);
  }

  get #isRough(): boolean {
    return this.#options.weather.isRough;
  }

  #take(task: PolledTask): void {
    const { process } = this;
    const { clock, chance } = process;
    this.#options.oracle.taskTaken(task, process.name, { takesJson: this.#takesJson });
    if (this.#isRough && chance.percent(7)) return void this.#release(task);
    this.#held.set(task.token, { task, beatAt: clock.now() + task.heartbeatMs / 3 });
    // A task that never ends and is not told of again: only its lease ends it.
    if (this.#isRough && chance.percent(3)) return void this.#held.delete(task.token);
    const isLate = this.#isRough && this.#heartbeats && chance.percent(12);
    if (isLate) {
      this.#held.get(task.token)!.beatAt = Number.POSITIVE_INFINITY;
      void this.#beatLate(task);
    }
    // Whoever keeps its word does not take on long work that asks for heartbeats, and send none.
    const mayBeLong = this.#isRough || this.#heartbeats || task.heartbeatMs === 0;
    const isLong = mayBeLong && chance.percent(12);
    const attemptMs = task.deadline - task.leasedAt;
    const longMs = this.#isRough ? 15_000 : Math.min(15_000, attemptMs / 2);
    const ms = isLate ? 40_000 : isLong ? chance.below(longMs) : 1 + chance.below(300);
    clock.after(ms, () => {
      if (!this.#held.delete(task.token)) return;
      this.#add({ token: task.token, outcome: outcomeOf(task.about, task.token) });
    });
  }

  /** Gives it back, and now and then forgets that it did. */
  async #release(task: PolledTask): Promise<void> {
    const { token } = task;
    const release = () =>
      this.#call("release", callTimeoutMs, (service) => service.release([token]));
    await release();
    const { chance } = this.process;
    if (chance.percent(50)) return;
    await this.#sleep(chance.below(3_000));
    if (chance.percent(50)) await release();
    else this.#add({ token, outcome: outcomeOf(task.about, token) });
  }

  /** Always at the last moment: its heartbeats race with the end of the lease. */
  async #beatLate({ token, leaseUntil, heartbeatMs }: PolledTask): Promise<void> {
    const { clock, chance } = this.process;
    for (let until = leaseUntil; ; until = clock.now() + heartbeatMs) {
      await this.#sleep(until - clock.now() - chance.below(chance.pick([30, 600])));
      if (!this.#held.has(token)) return;
      const answers = await this.#call("heartbeat", callTimeoutMs, (service) =>
        service.heartbeat([{ token }]),
      );
      if (answers?.[0] !== "extended") return;
    }
  }

  async #beat(): Promise<void> {
    for (;;) {
      await this.#sleep(beatMs);
      this.#send();
      const now = this.process.clock.now();
      const due = [...this.#held.values()].filter(({ beatAt }) => beatAt <= now);
      if (!this.#heartbeats || due.length === 0) continue;
      const beats = due.map(({ task }) => ({ token: task.token }));
      const answers = await this.#call("heartbeat", callTimeoutMs, (service) =>
        service.heartbeat(beats),
      );
      if (answers === undefined) continue;
      for (const [index, held] of due.entries()) {
        const silenceMs = held.task.heartbeatMs || held.task.deadline - held.task.leasedAt;
        held.beatAt = this.process.clock.now() + silenceMs / 3;
        const lost = answers[index] === "stale" || answers[index] === "cancelled";
        // Some go on all the same, and send a result that is no longer needed.
        if (lost && this.process.chance.percent(70)) this.#held.delete(held.task.token);
      }
    }
  }
}
