/**
 * The outside world: starts executions, some of them twice at once, signals, pauses, resumes,
 * cancels and reads them, and repeats what was not answered for as long as that is safe.
 */
import { OrchyError } from "../../src/base/errors.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import type { OperationRequest } from "../../src/model/event.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Loop } from "./loop.ts";
import type { Address, Network } from "./network.ts";
import type { Oracle, SignalSent, StartSent } from "./oracle.ts";
import { Process } from "./process.ts";
import { events, type SimulatedWorkflow } from "./workflows.ts";

export interface ClientOptions {
  readonly loop: Loop;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly servers: readonly Address<Runtime>[];
  readonly workflows: readonly WorkflowDefinition[];
}

const callTimeoutMs = 10_000;
const triesMax = 40;
/** Refusals that say: not now, and nothing was changed. */
const refusals: ReadonlySet<string> = new Set(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "TOO_MANY"]);

export class Client {
  readonly #options: ClientOptions;
  readonly #process: Process;
  #names = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#process = new Process(options.loop, "client");
  }

  /** Things to do, spread over so much time. */
  async work(ms: number, counts: { starts: number; others: number }): Promise<void> {
    const { chance } = this.#process;
    const doing: Promise<void>[] = [];
    const later = (work: () => Promise<void>) =>
      doing.push(this.#options.loop.sleep(chance.below(ms)).then(work));
    for (let index = 0; index < counts.starts; index++) later(() => this.#startSome());
    for (let index = 0; index < counts.others; index++) later(() => this.#somethingElse());
    await Promise.all(doing);
  }

  async #call<Answer>(
    name: string,
    serve: (service: Runtime) => Promise<Answer>,
    options: { repeatable?: boolean } = {},
  ): Promise<Answer> {
    const { network, servers } = this.#options;
    const from = this.#process;
    const to = from.chance.pick(servers);
    try {
      const call = { from, to, name, timeoutMs: callTimeoutMs, serve, ...options };
      return await network.call(call);
    } catch (error) {
      if (error instanceof OrchyError) this.#options.oracle.refused(error);
      throw error;
    }
  }

  /** Repeats it until it returns, or is refused for a reason that stays. */
  async #surely<Answer>(
    name: string,
    serve: (service: Runtime) => Promise<Answer>,
  ): Promise<Answer | OrchyError | undefined> {
    for (let tries = 0; tries < triesMax; tries++) {
      try {
        return await this.#call(name, serve);
      } catch (error) {
        const code = error instanceof OrchyError ? error.code : "UNKNOWN_OUTCOME";
        if (code !== "UNKNOWN_OUTCOME" && !refusals.has(code)) return error as OrchyError;
        await this.#options.loop.sleep(100 + this.#process.chance.below(2_000));
      }
    }
    return undefined;
  }

  async #startSome(): Promise<void> {
    await this.#start(this.#process.chance.pick(this.#options.workflows).name);
  }

  /** When nothing fails any more: each of these ends as it ends without faults. */
  async startCalmly(workflows: readonly SimulatedWorkflow[]): Promise<void> {
    for (const { definition } of workflows) {
      const start = await this.#start(definition.name);
      for (const id of start.ids) this.#options.oracle.calm.add(id);
    }
  }

  async #start(workflow: string): Promise<StartSent> {
    const { chance } = this.#process;
    const { oracle } = this.#options;
    const name = `start-${++this.#names}`;
    const input = JSON.stringify({
      route: chance.pick(["a", "b", "200", null]),
      seconds: chance.below(9),
      value: this.#names,
    });
    const hasKey = chance.percent(75);
    const start: StartSent = {
      name,
      workflow,
      ids: new Set(),
      wasRefused: false,
      ...(hasKey && { idempotencyKey: name }),
    };
    oracle.starts.push(start);
    const key = hasKey ? { idempotencyKey: name } : {};
    const early = hasKey && chance.percent(10) ? { event: "go", payload: '"early"' } : undefined;
    const request = { workflow, input, correlationId: name, ...key };
    const serve = async (service: Runtime) => {
      const newest = oracle.newestOf(workflow);
      const answer = await service.start({ ...request, ...(early && { signal: early }) });
      oracle.started(start, answer, newest);
      return answer;
    };
    if (hasKey) {
      const copies = chance.percent(30) ? 2 : 1;
      await Promise.all(Array.from({ length: copies }, () => this.#surely(name, serve)));
      return start;
    }
    // Without a key a repeat would be another start.
    await this.#call(name, serve, { repeatable: false }).catch((error) => {
      start.wasRefused = error instanceof OrchyError && refusals.has(error.code);
    });
    return start;
  }

  async #somethingElse(): Promise<void> {
    const { chance } = this.#process;
    const known = this.#options.oracle.starts.flatMap((start) => [...start.ids]);
    if (known.length === 0) return;
    const id = chance.pick(known);
    const what = chance.below(100);
    if (what < 42) await this.signal(id, chance.pick(events));
    else if (what < 54) await this.operate(id, { operation: "pause" });
    else if (what < 66) await this.operate(id, { operation: "resume" });
    else if (what < 70) await this.operate(id, { operation: "cancel" });
    else if (what < 84) await this.#operateOnSome(id);
    else if (what < 87) await this.#delete(id);
    else if (what < 90) await this.#saveAnew();
    else await this.#read(id);
  }

  async #delete(id: string): Promise<void> {
    const answer = await this.#surely("delete", async (service) => {
      await service.deleteExecution(id);
      this.#options.oracle.deleted(id);
    });
    this.#mustExist(id, answer);
  }

  /** From its answer on, starts are of the new version. */
  async #saveAnew(): Promise<void> {
    const { oracle, workflows } = this.#options;
    const definition = this.#process.chance.pick(workflows);
    const description = `description ${++this.#names}`;
    await this.#surely("save", async (service) => {
      const saved = await service.saveWorkflow({ ...definition, description }, { lenient: false });
      oracle.saved(saved.name, saved.version);
      return saved;
    });
  }

  async signal(executionId: string, event: string): Promise<void> {
    const { oracle } = this.#options;
    const signalId = `signal-${++this.#names}`;
    const payload = `{"from":"${signalId}"}`;
    const signal: SignalSent = { executionId, signalId, payload, isAccepted: false };
    oracle.signals.push(signal);
    const send = () =>
      this.#surely(signalId, async (service) => {
        const answer = await service.signal({ id: executionId, event, payload, signalId });
        oracle.signalAccepted(signal);
        return answer;
      });
    const copies = this.#process.chance.percent(30) ? 2 : 1;
    const answers = await Promise.all(Array.from({ length: copies }, send));
    for (const answer of answers) this.#mustExist(executionId, answer);
  }

  async operate(id: string, request: OperationRequest): Promise<void> {
    const operationId = `operation-${++this.#names}`;
    const answer = await this.#surely(operationId, async (service) => {
      const reason = "by the simulation";
      const status = await service.operate({ id, ...request, operationId, reason });
      this.#options.oracle.operated(id, request.operation, operationId);
      return status;
    });
    this.#mustExist(id, answer);
  }

  /** Begins it anew, forks it, or ends an action of it by hand. */
  async #operateOnSome(id: string): Promise<void> {
    const { chance } = this.#process;
    const { oracle } = this.#options;
    const plan = oracle.planOf(id);
    // What becomes of children then, is left to them.
    if (plan === undefined || plan.actions.some((action) => "target" in action)) return;
    const action = chance.pick(plan.actions).key;
    const failure = { code: "BY_HAND", message: "given up" };
    switch (
      chance.pick(["retry", "rerun", "rerun", "fork", "skip", "complete", "fail", "retry-now"])
    ) {
      case "retry":
        await this.operate(id, { operation: "cancel" });
        return this.operate(id, { operation: "retry" });
      case "rerun":
        await this.operate(id, { operation: "pause" });
        return this.operate(id, { operation: "rerun", action });
      case "fork":
        return this.#fork(id, action);
      case "retry-now":
        return this.operate(id, { operation: "retry-now", action });
      case "skip":
        oracle.byHand.add(id);
        return this.operate(id, { operation: "skip", action, output: "{}" });
      case "complete":
        oracle.byHand.add(id);
        return this.operate(id, { operation: "complete", action, output: "{}" });
      default:
        oracle.byHand.add(id);
        return this.operate(id, { operation: "fail", action, failure });
    }
  }

  async #fork(id: string, action: string): Promise<void> {
    const { oracle } = this.#options;
    const executionId = `fork-${++this.#names}`;
    oracle.forkOf.set(executionId, id);
    const answer = await this.#surely(executionId, async (service) => {
      const forked = await service.fork({ id, action, outputs: new Map(), executionId });
      oracle.forked(forked.id);
      return forked;
    });
    this.#mustExist(id, answer);
  }

  async #read(id: string): Promise<void> {
    const answer = await this.#surely("read", async (service) => {
      const { status } = await service.getExecution(id);
      this.#options.oracle.statusRead(id, status);
      const result = await service.waitForResult(id, this.#process.chance.below(5_000));
      this.#options.oracle.statusRead(id, result.status);
      await service.history(id, { limit: 10 });
      return status;
    });
    this.#mustExist(id, answer);
  }

  #mustExist(id: string, answer: unknown): void {
    if (!(answer instanceof OrchyError)) return;
    if (answer.code === "NOT_FOUND" || answer.code === "DELETED") this.#options.oracle.missing(id);
  }
}
