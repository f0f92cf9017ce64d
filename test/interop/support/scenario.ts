/** What every client does against a real server: a worker's whole life, one test a part. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../../support/orchy.ts";
import type { Called, Client, Trust } from "./client.ts";
import { ended, type Reachable, saveSingle, start, until } from "./desk.ts";
import type { Kind } from "./kinds.ts";

/** Where the client finds the server; tests talk REST to it by themselves. */
export interface Target {
  readonly server: Reachable;
  readonly address: string;
  readonly trust?: Trust;
}

/** Longer than anything here takes, as the machine may be busy with builds. */
export const testMs = 180_000;

/** What a part of the scenario has at hand. */
export class Session {
  readonly client: Client;
  readonly server: Reachable;
  readonly kind: Kind;

  constructor(client: Client, server: Reachable, kind: Kind) {
    this.client = client;
    this.server = server;
    this.kind = kind;
  }

  /** A name that no other client uses for its actions and workflows. */
  name(part: string): string {
    return `${this.kind.name}-${part}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  }

  /** The response of a call that must succeed. */
  async ask(method: string, request: object, options = {}) {
    const called = await this.client.call(method, request, options);
    if (called.error !== undefined) throw new Error(`${method}: ${JSON.stringify(called.error)}`);
    return called.response;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  async poll(action: string, more: object = {}): Promise<any[]> {
    const request = { actions: [action], waitSeconds: 20, workerId: this.name("worker"), ...more };
    return (await this.ask("Poll", request)).tasks ?? [];
  }

  async statuses(results: readonly object[]): Promise<string[]> {
    return plainStatuses(await this.ask("Complete", { results }));
  }

  async heartbeat(token: string): Promise<string> {
    const { statuses } = await this.ask("Heartbeat", { tasks: [{ token }] });
    return statuses[0].replace("HEARTBEAT_STATUS_", "");
  }
}

export function plainStatuses({ results }: { results: { status: string }[] }): string[] {
  return results.map(({ status }) => status.replace("RESULT_STATUS_", ""));
}

/** Declares the basic tests for one client, and gives its session to those that follow. */
export function basicScenario(kind: Kind, find: () => Target): () => Session {
  let session: Session;
  beforeAll(async () => {
    const { server, address, trust } = find();
    session = new Session(await kind.open(address, trust), server, kind);
  }, testMs);
  afterAll(() => session?.client.close());

  test(
    "registers rules, which REST shows",
    async () => {
      const name = session.name("registered");
      const rules = { name, retryCount: 7, retryAfterSeconds: 1.5, nonRetryable: ["GONE"] };
      await session.ask("RegisterActions", { actions: [rules], workerId: "w" });
      const { body } = await call(session.server, "GET", `/v1/actions/${name}`);
      expect(body.definition).toMatchObject(rules);
    },
    testMs,
  );

  test(
    "a parked poll hears of a task at once",
    async () => {
      const name = session.name("parked");
      await saveSingle(session.server, name);
      const polled = session.client.call("Poll", {
        actions: [name],
        waitSeconds: 50,
        workerId: name,
      });
      await untilParked(session.server, [name]);
      const startedMs = performance.now();
      const id = await start(session.server, name, { x: [1, { y: null }] });
      const { response } = await polled;
      // Well before the poll ends by itself.
      expect(performance.now() - startedMs).toBeLessThan(30_000);
      expect(response.tasks).toMatchObject([
        { executionId: id, action: name, actionId: "a", attempt: 1, workflow: name },
      ]);
      expect(response.tasks[0].parameters).toEqual({ x: [1, { y: null }] });
      const { token } = response.tasks[0];
      expect(await session.statuses([{ token, output: { ok: true } }])).toEqual(["ACCEPTED"]);
      expect((await ended(session.server, id)).result).toEqual({ ok: true });
    },
    testMs,
  );

  test(
    "batches; results ride on the next poll; a repeat is a duplicate",
    async () => {
      const name = session.name("batch");
      await saveSingle(session.server, name);
      const numbers = Array.from({ length: 25 }, (_, n) => n);
      const ids = await Promise.all(numbers.map((n) => start(session.server, name, { n })));
      const tasks = [];
      while (tasks.length < ids.length) {
        tasks.push(...(await session.poll(name, { maxTasks: 100 })));
      }
      const results = tasks.map(({ token, parameters }) => ({ token, output: parameters.n * 2 }));
      const unknown = { token: `${results[0]!.token}0`, output: 1 };
      const next = { actions: [name], maxTasks: 100, results: [...results, unknown] };
      const accepted = numbers.map(() => "ACCEPTED");
      expect(plainStatuses(await session.ask("Poll", next))).toEqual([...accepted, "STALE"]);
      const again = await session.statuses(results);
      expect(new Set(again)).toEqual(new Set(["DUPLICATE"]));
      const last = await Promise.all(ids.map((id) => ended(session.server, id)));
      expect(last.map(({ result }) => result)).toEqual(numbers.map((n) => n * 2));
    },
    testMs,
  );

  test(
    "a failure is retried, one that is not retryable ends the execution",
    async () => {
      const name = session.name("fails");
      await saveSingle(session.server, name, { retry: { retryCount: 5, retryAfterSeconds: 0.05 } });
      const id = await start(session.server, name);
      const [first] = await session.poll(name);
      const soft = { code: "SOFT", message: "again", details: { stock: 0 } };
      const hard = { code: "HARD", message: "never", retryable: false };
      expect(await session.statuses([{ token: first.token, failure: soft }])).toEqual(["ACCEPTED"]);
      const [second] = await session.poll(name);
      expect([first.attempt, second.attempt]).toEqual([1, 2]);
      await session.statuses([{ token: second.token, failure: hard }]);
      const { status, error, actions } = await ended(session.server, id);
      expect([status, error.code]).toEqual(["FAILED", "HARD"]);
      expect(actions[0].attempts.map(({ error }: { error: object }) => error)).toMatchObject([
        soft,
        { code: "HARD", message: "never" },
      ]);
    },
    testMs,
  );

  test(
    "a heartbeat extends the lease, and hears of a cancel",
    async () => {
      const name = session.name("beats");
      await saveSingle(session.server, name);
      const id = await start(session.server, name);
      const [task] = await session.poll(name, { heartbeats: true });
      expect(task.heartbeatMs).toBe("30000");
      expect(await session.heartbeat(task.token)).toBe("EXTENDED");
      await call(session.server, "POST", `/v1/executions/${id}/cancel`, {});
      expect(await session.heartbeat(task.token)).toBe("CANCELLED");
      expect(await session.statuses([{ token: task.token, output: 1 }])).toEqual(["STALE"]);
      expect((await ended(session.server, id)).status).toBe("CANCELLED");
    },
    testMs,
  );

  test(
    "a released task comes back, no attempt burnt",
    async () => {
      const name = session.name("released");
      await saveSingle(session.server, name);
      const id = await start(session.server, name);
      const [task] = await session.poll(name);
      const released = await session.ask("Release", { tokens: [task.token, "no-token"] });
      expect(released.statuses).toEqual(["RELEASE_STATUS_RELEASED", "RELEASE_STATUS_STALE"]);
      const [again] = await session.poll(name);
      expect(again).toMatchObject({ executionId: id, attempt: 1 });
      expect(again.token).not.toBe(task.token);
      await session.statuses([{ token: again.token, output: null }]);
      expect(await ended(session.server, id)).toMatchObject({ status: "COMPLETED", result: null });
    },
    testMs,
  );

  test(
    "payloads of 3 MB go both ways",
    async () => {
      const name = session.name("large");
      await saveSingle(session.server, name);
      const text = "é".repeat(1_450_000);
      const id = await start(session.server, name, { text });
      const [task] = await session.poll(name);
      expect(task.parameters.text === text).toBe(true);
      const back = [...text].fill("ü").join("");
      expect(await session.statuses([{ token: task.token, output: back }])).toEqual(["ACCEPTED"]);
      expect((await ended(session.server, id)).result === back).toBe(true);
    },
    testMs,
  );

  test(
    "integers beyond 2^53 stay exact as JSON text",
    async () => {
      const name = session.name("exact");
      await saveSingle(session.server, name);
      const body = `{"workflow":"${name}","input":{"n":9007199254740993}}`;
      const { id } = (await call(session.server, "POST", "/v1/executions", body)).body;
      const [task] = await session.poll(name, { payloadFormat: "PAYLOAD_FORMAT_JSON" });
      expect(Buffer.from(task.parametersJson, "base64").toString()).toBe('{"n":9007199254740993}');
      const output = Buffer.from("[9007199254740995]").toString("base64");
      await session.statuses([{ token: task.token, outputJson: output }]);
      const { url, tls } = session.server;
      const result = await fetch(`${url}/v1/executions/${id}/result?wait=20`, {
        ...(tls && { tls }),
      });
      expect(await result.text()).toContain('"result":[9007199254740995]');
    },
    testMs,
  );

  test(
    "compressed requests are read",
    async () => {
      const name = session.name("gzip");
      await saveSingle(session.server, name);
      const id = await start(session.server, name);
      const [task] = await session.poll(name);
      const output = "squeeze ".repeat(50_000);
      const results = [{ token: task.token, output }];
      const answer = await session.ask("Complete", { results }, { gzip: true });
      expect(plainStatuses(answer)).toEqual(["ACCEPTED"]);
      expect((await ended(session.server, id)).result === output).toBe(true);
    },
    testMs,
  );

  test(
    "a refusal has its code, and says what is wrong",
    async () => {
      const { error } = await session.client.call("Poll", { actions: ["a"], waitSeconds: 61 });
      expect(error?.code).toBe("invalidargument");
      expect(error?.message).toContain("/waitSeconds: is 61; it must be 0 to 60");
    },
    testMs,
  );

  test(
    "a deadline ends a poll empty, ahead of time; one that passes is told as such",
    async () => {
      const name = session.name("deadline");
      const poll = { actions: [name], waitSeconds: 50 };
      const inTime = await session.client.call("Poll", poll, { timeoutMs: 1_500 });
      expect(inTime.error).toBeUndefined();
      expect(inTime.response.tasks ?? []).toEqual([]);
      expect(inTime.ms).toBeWithin(1_000, 1_500);
      const { error } = await session.client.call("Poll", poll, { timeoutMs: 1 });
      // Some clocks are too coarse to see it pass.
      expect(error?.code ?? "deadlineexceeded").toBe("deadlineexceeded");
    },
    // Who is not given the processor for a while misses any deadline.
    { timeout: testMs, retry: 2 },
  );

  return () => session;
}

/** Until the server lists polls of all these workers. */
export async function untilParked(server: Reachable, workers: readonly string[]): Promise<void> {
  await until(
    async () => {
      const { body } = await call(server, "GET", "/v1/workers");
      const seen = new Set(body.items.map(({ id }: { id: string }) => id));
      return workers.filter((worker) => !seen.has(worker)).length;
    },
    (absent) => absent === 0,
  );
}

/** Declares tests of one client; without its toolchain, one that is skipped and says why. */
export function describeKind(kind: Kind, declare: () => void): void {
  if (kind.skip === undefined) describe(kind.name, declare);
  else skipped(kind.name, kind.skip);
}

export function skipped(what: string, reason: string): void {
  test.skip(`${what} (${reason})`, () => {});
  console.log(`interop: skipped: ${what}: ${reason}`);
}

export const percentile = (calls: readonly Called[], share: number): number => {
  const sorted = calls.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
};
