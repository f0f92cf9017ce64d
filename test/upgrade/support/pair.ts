/**
 * A server of a released version and one of this version on one Redis, and executions that are
 * begun at the one and go on at the other.
 */
import { expect } from "bun:test";
import type { Redis } from "ioredis";
import { call } from "../../support/orchy.ts";
import { freePort } from "../../support/ports.ts";
import { type ServerProcess, startProcess } from "../../support/process.ts";
import { until } from "../../support/redis.ts";

export const deadlineMs = 90_000;

/** A server of one of the versions, which keeps its port from life to life. */
export class Place {
  readonly #store: string;
  readonly #folder: string | undefined;
  readonly #ports = { http: freePort(), grpc: freePort() };
  readonly url = `http://127.0.0.1:${this.#ports.http}`;
  readonly #lives: ServerProcess[] = [];

  constructor(store: string, folder?: string) {
    this.#store = store;
    this.#folder = folder;
  }

  async start(flags: readonly string[] = []): Promise<void> {
    const folder = this.#folder !== undefined && { folder: this.#folder };
    this.#lives.push(await startProcess(this.#store, { ...this.#ports, ...folder }, flags));
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#lives.at(-1)?.child;
    child?.kill(signal);
    await child?.exited;
  }

  /** Halts it where it is, and lets it go on. */
  halt(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#lives.at(-1)?.child.kill(signal);
  }

  /** What its lives have logged as errors. */
  errors(): string[] {
    const lines = this.#lives.flatMap(({ output }) => output.text.split("\n"));
    return lines.filter((line) => line.includes('"level":"error"'));
  }
}

export const step = (id: string, more: object = {}) => ({
  id,
  type: "user",
  name: "mixed-step",
  parameters: { id, n: "$.input.n" },
  ...more,
});

/** A bit of everything; what `mark` says is part of its output. */
const workflow = (mark: string) => ({
  name: "mixed",
  rootAction: ["a", "d"],
  output: {
    mark,
    n: "$.c.output.n",
    got: "$.w.output.payload",
    route: "$.s.output.route",
    odd: "$.j.output.odd",
  },
  onSuccess: { workflow: "mixed-after", parameters: { n: "$.input.n" } },
  actions: [
    step("a", { next: { default: ["w", "s"] } }),
    { id: "w", type: "system", name: "wait", event: "go", next: { default: "c" } },
    {
      id: "s",
      type: "system",
      name: "switch",
      expression: "$.input.branch",
      next: { script: "j", task: "b" },
    },
    {
      id: "j",
      type: "system",
      name: "javascript",
      next: { default: "c" },
      expression: "({odd: $.input.n % 2 === 1})",
    },
    step("b", { next: { default: "c" } }),
    { id: "d", type: "system", name: "delay", delaySeconds: 0.2, next: { default: "c" } },
    step("c", { join: "settled" }),
  ],
});

export interface Started {
  readonly n: number;
  /** A script whose server is killed is requested again after 30 s: too long for those loads. */
  readonly branch: "script" | "task";
  readonly marks: readonly string[];
}

/** What was acknowledged, and must come to its end. */
export class Pair {
  readonly started = new Map<string, Started>();
  readonly #places: readonly [older: Place, newer: Place];
  readonly #client: Redis;

  constructor(places: readonly [older: Place, newer: Place], client: Redis) {
    this.#places = places;
    this.#client = client;
  }

  /** Asks one server and, where that is away, the other, until one of them answers. */
  async ask(first: number, method: string, path: string, body?: unknown) {
    const deadline = performance.now() + deadlineMs;
    for (let i = first; ; i++) {
      const answer = await call(this.#places[i % 2]!, method, path, body).catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return answer;
      if (performance.now() > deadline) throw new Error(`${path}: nobody answers`);
      await Bun.sleep(5);
    }
  }

  /** Starts one at one server; its signal goes to the other, some while it is paused there. */
  async start(one: Started, first: number): Promise<string> {
    const { n, branch } = one;
    const id = `mixed-${n}`;
    const body = { workflow: "mixed", executionId: id, input: { n, branch } };
    expect((await this.ask(first, "POST", "/v1/executions", body)).body.id).toBe(id);
    this.started.set(id, one);
    if (n % 5 === 0)
      await this.ask(first, "POST", `/v1/executions/${id}/pause`, { operationId: "p" });
    return id;
  }

  async signal(id: string, n: number, first: number): Promise<void> {
    const body = { event: "go", payload: n, signalId: "g" };
    const { status } = await this.ask(first, "POST", `/v1/executions/${id}/signal`, body);
    expect(status).toBe(200);
    // Each version knows the signals that the other has applied.
    const again = await this.ask(first + 1, "POST", `/v1/executions/${id}/signal`, body);
    expect(again.body).toEqual({ outcome: "duplicate" });
    if (n % 5 === 0)
      await this.ask(first, "POST", `/v1/executions/${id}/resume`, { operationId: "r" });
  }

  /** So many executions, one half begun at each server; while they run, `meanwhile` happens. */
  async load(
    every: Omit<Started, "n">,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    const base = this.started.size;
    let next = base;
    const lane = async () => {
      for (let n = next++; n < base + 60; n = next++) {
        await this.signal(await this.start({ n, ...every }, n), n, n + 1);
      }
    };
    const change = async () => {
      await until(async () => this.started.size >= base + 20, deadlineMs);
      await meanwhile();
    };
    await Promise.all([change(), ...Array.from({ length: 6 }, lane)]);
    await this.allEnd();
  }

  /** Whatever was acknowledged so far completes, with the output of its definition. */
  async allEnd(first = 0): Promise<void> {
    for (const [id, { n, branch, marks }] of this.started) {
      const { body } = await this.ask(first, "GET", `/v1/executions/${id}/result?wait=30`);
      const { status, failure } = body;
      expect({ id, status, failure }).toEqual({ id, status: "COMPLETED", failure: undefined });
      const { mark, ...result } = body.result;
      expect(marks).toContain(mark);
      const odd = branch === "script" ? n % 2 === 1 : null;
      expect(result).toEqual({ n, got: n, route: branch, odd });
    }
    // Each is followed by one, and only one.
    const followUps = async () => {
      const { body } = await this.ask(
        first,
        "GET",
        "/v1/executions?workflow=mixed-after&limit=500",
      );
      return body.items as { status: string }[];
    };
    await until(async () => {
      const all = await followUps();
      return all.length >= this.started.size && all.every(({ status }) => status === "COMPLETED");
    }, deadlineMs);
    expect(await followUps()).toHaveLength(this.started.size);
  }

  /** Executions that one server begins alone, and the other has to end. */
  async begin(first: number): Promise<void> {
    const base = this.started.size;
    const every = { branch: "script", marks: ["fourth"] } as const;
    for (let n = base; n < base + 20; n++) await this.start({ n, ...every }, first);
  }

  async endAlone(other: number, from: number): Promise<void> {
    for (const [id, { n }] of this.started) if (n >= from) await this.signal(id, n, other);
    await this.allEnd(other);
  }

  async save(first: number, mark: string): Promise<void> {
    expect((await this.ask(first, "POST", "/v1/workflows", workflow(mark))).status).toBe(201);
  }

  async format(): Promise<number> {
    return Number(await this.#client.hget("orchy:{meta}:settings", "layout"));
  }
}
