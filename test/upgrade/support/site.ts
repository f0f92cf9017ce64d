/** What the states of a store are made and finished with: a server with keys, called over REST. */
import { expect } from "bun:test";
import { call } from "../../support/orchy.ts";

export interface State {
  /** Leaves something in the store, and answers what finishing it must know. */
  prepare(site: Site): Promise<Facts>;
  /** While a worker runs every action whose name ends in -step: each gives what it was given. */
  finish(site: Site, facts: Facts): Promise<void>;
}

/** What a state remembers from its making to its finishing; kept as JSON beside the store. */
// biome-ignore lint/suspicious/noExplicitAny: each state knows the shape of its own
export type Facts = any;

export interface Task {
  readonly token: string;
  readonly executionId: string;
  readonly actionId: string;
}

export class Site {
  readonly url: string;
  readonly key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.key = key;
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const authorization = `Bearer ${this.key}`;
    return call({ url: this.url }, method, path, body, { authorization, ...headers });
  }

  /** The answer of a call that must succeed. */
  async ask(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
    const answer = await this.call(method, path, body, headers);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  async start(workflow: string, more: object = {}): Promise<string> {
    return (await this.ask("POST", "/v1/executions", { workflow, ...more })).id;
  }

  /** The execution, once it has ended. */
  async ended(id: string) {
    const { status } = await this.ask("GET", `/v1/executions/${id}/result?wait=60`);
    if (status === "RUNNING" || status === "PAUSED") throw new Error(`${id} goes on: ${status}`);
    return this.ask("GET", `/v1/executions/${id}`);
  }

  /** The same; fails unless it has completed. */
  async completed(id: string) {
    const view = await this.ended(id);
    expect([id, view.status, view.error]).toEqual([id, "COMPLETED", undefined]);
    return view;
  }

  async save(...definitions: readonly object[]): Promise<void> {
    for (const one of definitions) await this.ask("POST", "/v1/workflows", one);
  }

  async view(id: string) {
    return this.ask("GET", `/v1/executions/${id}`);
  }

  async list(workflow: string): Promise<readonly { id: string; status: string }[]> {
    return (await this.ask("GET", `/v1/executions?workflow=${workflow}`)).items;
  }

  /** As a worker that sends no heartbeats unless it says so. */
  async poll(action: string, more: object = {}): Promise<readonly Task[]> {
    const request = { actions: [action], waitSeconds: 20, maxTasks: 1, workerId: "gone", ...more };
    return (await this.ask("POST", "/orchy.v1.WorkerService/Poll", request)).tasks ?? [];
  }

  /** What became of each result, in a word. */
  async complete(results: readonly object[]): Promise<string[]> {
    const answer = await this.ask("POST", "/orchy.v1.WorkerService/Complete", { results });
    return answer.results.map(({ status }: { status: string }) =>
      status.replace("RESULT_STATUS_", ""),
    );
  }

  /** Repeats the call until the answer fits: for what no event reports. */
  async until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const answer = await ask();
      if (fits(answer)) return answer;
      if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(answer)}`);
      await Bun.sleep(20);
    }
  }
}

/** How far away deadlines are: long after the making has ended. */
export const soonSeconds = 20;

/** Long enough that what is kept in a fixture is there for ten years. */
export const retentionSeconds = 315_000_000;

export function user(id: string | number, name: string, more: object = {}): object {
  return { id, type: "user", name, ...more };
}

export function definition(name: string, actions: readonly object[], more: object = {}): object {
  const [first] = actions as [{ id: string | number }];
  return { name, rootAction: first.id, retentionSeconds, actions, ...more };
}
