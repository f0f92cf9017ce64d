/**
 * A consumer of the simulated broker: claims tasks by their tickets, or completes them with the
 * ticket alone; forgets messages, and repeats what was not answered.
 */
import { OrchyError } from "../../src/base/errors.ts";
import type { TaskOutcome } from "../../src/model/event.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { PolledTask } from "../../src/runtime/shared/polled-task.ts";
import type { TicketRefusal } from "../../src/runtime/shared/tickets.ts";
import type { Delivered, SimulatedBroker } from "./broker.ts";
import { outcomeOf } from "./outcomes.ts";
import { Process } from "./process.ts";
import type { WorkerOptions } from "./worker.ts";
import { deliveredDefinition } from "./workflows.ts";

type ConsumerOptions = Omit<WorkerOptions, "takesJson"> & { readonly broker: SimulatedBroker };

interface Message {
  readonly ticket: string;
  readonly taskId: string;
  readonly workflow: string;
  readonly actionId: string;
  readonly attempt: number;
}

const callTimeoutMs = 10_000;
const restMs = 150;
const triesMax = 5;

export class SimulatedConsumer {
  readonly process: Process;
  /** Its action is known: what was queued before is nothing that brokers deliver. */
  readonly registered: Promise<void>;
  readonly #options: ConsumerOptions;
  #calls = 0;

  constructor(name: string, options: ConsumerOptions) {
    this.#options = options;
    this.process = new Process(options.loop, name);
    this.registered = this.#register();
    void this.registered.then(() => this.#run());
  }

  async #register(): Promise<void> {
    const save = (service: Runtime) => service.saveAction(deliveredDefinition, { lenient: false });
    while ((await this.#call("register", save)) === undefined) await this.#sleep(restMs);
  }

  async #run(): Promise<void> {
    const { broker } = this.#options;
    for (;;) {
      await this.#sleep(restMs);
      for (let got = broker.receive(); got !== undefined; got = broker.receive()) {
        void this.#handle(got);
      }
    }
  }

  async #handle(got: Delivered): Promise<void> {
    const { chance } = this.process;
    const message = JSON.parse(got.body) as Message;
    const isDone = await (chance.percent(50) ? this.#complete(message) : this.#claim(message));
    if (isDone && !(this.#options.weather.isRough && chance.percent(10))) {
      this.#options.broker.delete(got);
    }
  }

  /** Whether the message is done with. */
  async #complete(message: Message): Promise<boolean> {
    const { oracle } = this.#options;
    const { ticket, taskId } = message;
    const outcome = this.#outcomeOf(message, `${this.process.name}-${++this.#calls}`);
    const answer = await this.#call("complete by ticket", async (service) => {
      const workerId = this.process.name;
      const given = await service.completeByTicket({ ticket, outcome, workerId });
      oracle.ticketAnswered(taskId, outcome, given.status);
      return given;
    });
    return answer !== undefined && (answer.status === "accepted" || this.#isOver(answer));
  }

  async #claim(message: Message): Promise<boolean> {
    const { oracle, weather } = this.#options;
    const { ticket } = message;
    const { chance } = this.process;
    const leaseMs = chance.pick([0, 3_000]);
    const claim = await this.#call("claim by ticket", async (service) => {
      const workerId = this.process.name;
      const given = await service.claimByTicket({ ticket, workerId, leaseMs });
      oracle.ticketClaimed(message.taskId, given.status);
      return given;
    });
    if (claim === undefined) return false;
    if (claim.status !== "claimed") return this.#isOver(claim);
    oracle.taskTaken(claim.task, this.process.name, { takesJson: true });
    await this.#sleep(chance.below(weather.isRough ? 8_000 : 500));
    if (weather.isRough && chance.percent(10)) return false;
    return await this.#bring(message, claim.task);
  }

  /** The result of a claimed task, with its token. */
  async #bring(message: Message, { token }: PolledTask): Promise<boolean> {
    const results = [{ token, outcome: this.#outcomeOf(message, token) }];
    for (let tries = 0; tries < triesMax; tries++) {
      const answers = await this.#call("complete", async (service) => {
        const given = await service.complete(results, this.process.name);
        await this.#options.oracle.resultsAnswered(results, given);
        return given;
      });
      if (answers !== undefined && answers[0] !== "retry") return true;
      await this.#sleep(500);
    }
    return false;
  }

  #isOver({ status }: TicketRefusal): boolean {
    return status === "done" || status === "stale";
  }

  #outcomeOf({ workflow, actionId, attempt }: Message, by: string): TaskOutcome {
    return outcomeOf({ workflow, actionKey: actionId, attempt }, by);
  }

  async #call<Answer>(
    name: string,
    serve: (service: Runtime) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const { network, servers, oracle, loop } = this.#options;
    const to = this.process.chance.pick(servers);
    try {
      return await network.call({ from: this.process, to, name, timeoutMs: callTimeoutMs, serve });
    } catch (error) {
      loop.note(`${this.process.name} ${name} at ${to.name}: ${(error as Error).message}`);
      if (error instanceof OrchyError) oracle.refused(error);
      return undefined;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.process.clock.after(ms, resolve));
  }
}
