/**
 * A load that stays the same for as long as it runs: so many executions a second, each with a
 * start, a signal, reads and two tasks; workers that poll, and bring results with their next poll.
 */
import type { Connection, Task, WorkerLink } from "./connection.ts";

export interface LoadOptions {
  readonly connection: Connection;
  readonly workers: WorkerLink;
  readonly executionsPerSecond: number;
}

/** What has ended is removed so soon: from then on as much goes as comes. */
export const retentionSeconds = 10;

const workflow = {
  name: "soak",
  rootAction: "a",
  retentionSeconds,
  actions: [
    { id: "a", type: "user", name: "soak-a", parameters: "$.input", next: { default: "w" } },
    { id: "w", type: "system", name: "wait", event: "go", next: { default: "b" } },
    { id: "b", type: "user", name: "soak-b", parameters: { got: "$.w.output.payload" } },
  ],
};

const pollers = 6;
const paceMs = 20;
/** One execution in this many has a large input. */
const largeEvery = 50;
const largeChars = 100_000;
const smallChars = 500;
/** No more are begun while this many wait for an answer. */
const underWayMax = 200;

export class Load {
  readonly #options: LoadOptions;
  readonly #underWay = new Set<Promise<void>>();
  started = 0;
  completed = 0;
  /** What went wrong, in sentences; nothing should. */
  readonly failures: string[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Until the signal says stop; then until all that was begun has ended. */
  async run(stop: AbortSignal): Promise<void> {
    await this.#options.connection.json("POST", "/v1/workflows", workflow);
    const ended = new AbortController();
    const polling = Array.from({ length: pollers }, () => this.#poll(ended.signal));
    const beganAt = performance.now();
    while (!stop.aborted) {
      const due = ((performance.now() - beganAt) / 1_000) * this.#options.executionsPerSecond;
      while (this.started < due && this.#underWay.size < underWayMax) this.#begin();
      await Bun.sleep(paceMs);
    }
    await Promise.all(this.#underWay);
    ended.abort();
    await Promise.all(polling);
  }

  #begin(): void {
    const n = ++this.started;
    const life = this.#live(n)
      .catch((error: Error) => this.#fail(error.message))
      .finally(() => this.#underWay.delete(life));
    this.#underWay.add(life);
  }

  async #live(n: number): Promise<void> {
    const { connection } = this.#options;
    const text = "x".repeat(n % largeEvery === 0 ? largeChars : smallChars);
    const { id } = await connection.json("POST", "/v1/executions", {
      workflow: workflow.name,
      input: { n, text },
    });
    const path = `/v1/executions/${id}`;
    await connection.json("POST", `${path}/signal`, { event: "go", payload: n });
    await connection.json("GET", path);
    const { status } = await connection.json("GET", `${path}/result?wait=20`);
    if (status === "COMPLETED") this.completed += 1;
    else this.#fail(`${id} is ${status}`);
  }

  async #poll(stop: AbortSignal): Promise<void> {
    let done: readonly Task[] = [];
    while (!stop.aborted || done.length > 0) {
      try {
        const { tasks, refused } = await this.#options.workers.poll(["soak-a", "soak-b"], done);
        if (refused > 0) this.#fail(`${refused} results were not accepted`);
        done = tasks;
      } catch (error) {
        this.#fail((error as Error).message);
        done = [];
      }
    }
  }

  #fail(sentence: string): void {
    if (this.failures.length < 100) this.failures.push(sentence);
  }
}
