/**
 * Three servers on one Redis are ended and replaced in turn while workers and callers go on: nobody
 * who goes elsewhere when told so, or when nobody listens any more, notices more than that.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { limits } from "../../src/base/limits.ts";
import { ResultStatus, WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { Worker } from "../../src/worker/index.ts";
import { call, untilEnded } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";

interface Place {
  readonly http: number;
  readonly grpc: number;
  readonly url: string;
  process: ServerProcess;
}

interface Task {
  readonly executionId: string;
  readonly actionId: string;
  readonly attempt: number;
}

interface PollAnswer {
  readonly tasks?: readonly unknown[];
  readonly draining?: boolean;
}

/** One poll of an action that has no tasks, as a worker of this kind sends it. */
type Parking = (place: Place, workerId: string) => Promise<PollAnswer>;

const path = "/orchy.v1.WorkerService/Poll";
const parked = (workerId: string) => ({ actions: ["roll-nothing"], waitSeconds: 60, workerId });

const parkHttp1: Parking = async ({ url }, workerId) =>
  (await call({ url }, "POST", path, parked(workerId))).body;

const parkHttp2: Parking = ({ url }, workerId) =>
  new Promise((resolve, reject) => {
    const session = connect(url);
    session.on("error", reject);
    const headers = { ":method": "POST", ":path": path, "content-type": "application/json" };
    const stream = session.request(headers);
    let text = "";
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve(JSON.parse(text));
    });
    stream.end(JSON.stringify(parked(workerId)));
  });

const parkGrpc: Parking = async ({ grpc }, workerId) => {
  const baseUrl = `http://127.0.0.1:${grpc}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const client = createClient(WorkerService, createGrpcTransport({ baseUrl, sessionManager }));
  const { tasks, draining } = await client.poll(parked(workerId));
  return { tasks, draining };
};

const parkings: Readonly<Record<string, Parking>> = {
  "http/1.1": parkHttp1,
  "http/2": parkHttp2,
  grpc: parkGrpc,
};

/** Polls of each kind that wait at a server, once it has heard them all. */
async function parkAt(place: Place, round: number): Promise<Promise<PollAnswer>[]> {
  const names: string[] = [];
  const polls = Object.entries(parkings).flatMap(([kind, park]) =>
    Array.from({ length: 5 }, (_, i) => {
      const name = `${kind} ${round} ${i}`;
      names.push(name);
      return park(place, name);
    }),
  );
  for (const poll of polls) poll.catch(() => {});
  await until(async () => {
    const { body } = await call(place, "GET", "/v1/workers");
    const seen = new Set(body.items.map(({ id }: { id: string }) => id));
    return names.every((name) => seen.has(name));
  });
  return polls;
}

/**
 * Starts executions one after the other, and waits for some. It leaves a server that says it is
 * leaving or where nobody listens; whatever else goes wrong is a failed start.
 */
class Caller {
  readonly started: string[] = [];
  readonly failures: string[] = [];
  readonly #places: readonly Place[];
  #place: number;

  constructor(places: readonly Place[], first: number) {
    this.#places = places;
    this.#place = first;
  }

  async run(stop: AbortSignal): Promise<void> {
    for (let n = 0; !stop.aborted; n++) await this.#start(n);
  }

  async #start(n: number): Promise<void> {
    const body = JSON.stringify({ workflow: "roll", input: { n } });
    const headers = { "content-type": "application/json" };
    for (;;) {
      const { url } = this.#places[this.#place % this.#places.length] as Place;
      const query = n % 5 === 0 ? "?wait=1" : "";
      try {
        const answer = await fetch(`${url}/v1/executions${query}`, {
          method: "POST",
          body,
          headers,
        });
        if (answer.headers.get("connection") === "close") this.#place += 1;
        const { id } = (await answer.json()) as { id?: string };
        if (id === undefined) this.failures.push(`${url} answered ${answer.status}`);
        else this.started.push(id);
        return;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        this.#place += 1;
        if (code === "ECONNREFUSED") continue;
        this.failures.push(`${url}: ${code} ${message}`);
        return;
      }
    }
  }
}

/** Runs the steps over gRPC, one poll at a time, each with the results of the one before. */
async function workOverGrpc(
  places: readonly Place[],
  run: (task: Task) => string,
  stop: AbortSignal,
): Promise<void> {
  let results: { token: string; outputJson: Uint8Array }[] = [];
  for (let place = 0; !stop.aborted || results.length > 0; ) {
    const baseUrl = `http://127.0.0.1:${places[place % places.length]?.grpc}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    const client = createClient(WorkerService, createGrpcTransport({ baseUrl, sessionManager }));
    for (let isLeaving = false; !isLeaving && (!stop.aborted || results.length > 0); ) {
      const actions = stop.aborted ? [] : ["roll-step"];
      try {
        const answer = await client.poll({ actions, maxTasks: 10, waitSeconds: 1, results });
        for (const { status } of answer.results) expect(settled).toContain(status);
        results = answer.tasks.map((task) => ({
          token: task.token,
          outputJson: new TextEncoder().encode(JSON.stringify(run(task))),
        }));
        isLeaving = answer.draining;
      } catch (error) {
        // Refused, or closed before it was heard: the same results go to another server.
        expect(passing).toContain(ConnectError.from(error).code);
        isLeaving = true;
      }
    }
    sessionManager.abort();
    place += 1;
  }
}

/** Canceled is how this client reports a stream that came after GOAWAY. */
const passing = [Code.Unavailable, Code.Aborted, Code.Canceled];
const settled: readonly ResultStatus[] = [ResultStatus.ACCEPTED, ResultStatus.DUPLICATE];

const steps = ["a", "b", "c"];
const workflow = {
  name: "roll",
  rootAction: "a",
  actions: steps.map((id, i) => ({
    id,
    type: "user",
    name: "roll-step",
    ...(i + 1 < steps.length && { next: { default: steps[i + 1] } }),
  })),
};

describe.skipIf(redisMissing !== undefined)("a rolling restart", () => {
  let redis: RedisServer;
  let store: string;
  const places: Place[] = [];
  const runs = new Map<string, { output: string; attempt: number }[]>();

  beforeAll(async () => {
    redis = await startRedis();
    store = `redis://127.0.0.1:${redis.port}`;
    for (let i = 0; i < 3; i++) {
      const ports = { http: freePort(), grpc: freePort() };
      const process = await startProcess(store, ports);
      places.push({ ...ports, url: `http://127.0.0.1:${ports.http}`, process });
    }
    const { status } = await call(places[0] as Place, "POST", "/v1/workflows", workflow);
    expect(status).toBe(201);
  }, 120_000);

  afterAll(async () => {
    for (const { process } of places) {
      process.child.kill("SIGKILL");
      await process.child.exited;
    }
    await redis.stop();
  });

  function step({ executionId, actionId, attempt }: Task): string {
    const key = `${executionId} ${actionId}`;
    const output = crypto.randomUUID();
    runs.set(key, [...(runs.get(key) ?? []), { output, attempt }]);
    return output;
  }

  /** Ends a server and puts another in its place; answers its exit code and how long it took. */
  async function replace(place: Place, round: number) {
    const polls = await parkAt(place, round);
    const beganAt = performance.now();
    place.process.child.kill("SIGTERM");
    const answers = await Promise.all(polls);
    const exitCode = await place.process.child.exited;
    const tookMs = performance.now() - beganAt;
    place.process = await startProcess(store, place);
    return { answers, exitCode, tookMs };
  }

  test("costs no start, no attempt, no result", async () => {
    const quiet = { info() {}, warn() {}, error() {} };
    const workers = places.map((_, i) => {
      const server = places.map((__, j) => (places[(i + j) % places.length] as Place).url);
      const worker = new Worker({ server, logger: quiet });
      return worker.action("roll-step", (_parameters, context) => step(context));
    });
    for (const worker of workers) await worker.start();
    const ending = new AbortController();
    const overGrpc = new AbortController();
    const working = workOverGrpc(places, step, overGrpc.signal);
    const callers = Array.from({ length: 6 }, (_, i) => new Caller(places, i));
    const calling = Promise.all(callers.map((caller) => caller.run(ending.signal)));
    const startedSoFar = () => callers.reduce((sum, { started }) => sum + started.length, 0);

    for (const [round, place] of places.entries()) {
      const { answers, exitCode, tookMs } = await replace(place, round);
      expect(answers).toHaveLength(15);
      for (const { tasks = [], draining } of answers) expect([tasks, draining]).toEqual([[], true]);
      expect(exitCode).toBe(0);
      expect(tookMs).toBeLessThan(limits.drainMs);
      // With the new one in its place it goes on before the next one is ended.
      const before = startedSoFar();
      await until(async () => startedSoFar() >= before + 100);
    }
    ending.abort();
    await calling;
    expect(callers.flatMap(({ failures }) => failures)).toEqual([]);

    const ids = callers.flatMap(({ started }) => started);
    for (const [i, id] of ids.entries()) {
      const { status, actions, data } = await untilEnded(places[i % 3] as never, id);
      expect([id, status]).toEqual([id, "COMPLETED"]);
      for (const { id: action, attempts } of actions) {
        const ran = runs.get(`${id} ${action}`) ?? [];
        expect(ran).toEqual([{ output: data[action].output, attempt: 1 }]);
        expect(attempts.map(({ number }: { number: number }) => number)).toEqual([1]);
      }
    }
    overGrpc.abort();
    await working;
    for (const worker of workers) await worker.stop();
  }, 120_000);
});
