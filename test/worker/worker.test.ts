/** What a worker does on the wire, seen from a server that it really talks to. */
import { afterEach, describe, expect, test } from "bun:test";
import { setTimeout as setTimeoutPromise } from "node:timers/promises";
import { limits } from "../../src/base/limits.ts";
import { ResultStatus } from "../../src/gen/orchy/v1/worker_pb.ts";
import { FailureLog } from "../../src/worker/failure-log.ts";
import {
  type Logger,
  NonRetryableError,
  TaskStopped,
  Worker,
  type WorkerOptions,
} from "../../src/worker/index.ts";
import { HandClock } from "../support/hand-clock.ts";
import { type PollRequest, ScriptedServer } from "./scripted-server.ts";

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

const running: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop();
});

function startServer(): ScriptedServer {
  const server = new ScriptedServer().start();
  running.push({ stop: () => server.cut() });
  return server;
}

/** What is logged as an error, as it comes. */
function errorLog(): { readonly lines: string[]; readonly logger: Logger } {
  const lines: string[] = [];
  return { lines, logger: { ...quiet, error: (line) => lines.push(line) } };
}

const quiet = { info() {}, warn() {}, error() {} };

function newWorker(server: string | string[], options: Partial<WorkerOptions> = {}): Worker {
  const worker = new Worker({ server, logger: quiet, ...options });
  running.push({ stop: () => worker.stop({ drainMs: 0 }) });
  return worker;
}

/** A promise and the call that resolves it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

for (const transport of ["http2", "http1"] as const) {
  describe(`over ${transport}`, () => {
    test("runs a task with its input and context, and gives the output back", async () => {
      const server = startServer();
      const worker = newWorker(server.url, { transport, workerId: "w1" });
      worker.action("greet", (input, context) => {
        const { executionId, workflow, actionId, action, attempt, parametersText } = context;
        const hello = `Hi ${input.name}`;
        return { hello, executionId, workflow, actionId, action, attempt, parametersText };
      });
      await worker.start();
      const token = server.add("greet", { name: "Zoë" });
      expect(await server.outcome(token)).toEqual({
        hello: "Hi Zoë",
        executionId: "execution-1",
        workflow: "tested",
        actionId: "1",
        action: "greet",
        attempt: 1,
        parametersText: '{"name":"Zoë"}',
      });
      const poll = server.callsOf("Poll")[0]!.request as PollRequest;
      expect(poll).toMatchObject({ workerId: "w1", heartbeats: true, actions: ["greet"] });
    });

    test("sends a result again when the connection is cut before its answer", async () => {
      const server = startServer();
      const worker = newWorker(server.url, { transport });
      worker.action("once", () => "done");
      await worker.start();
      const cut = gate();
      server.beforeAnswer = async () => {
        if (server.settled.size > 0) await cut.opened;
      };
      const token = server.add("once");
      await server.until(() => server.settled.has(token));
      await server.cut();
      server.beforeAnswer = () => {};
      cut.open();
      server.start();
      await server.until(() => server.duplicates.includes(token));
      expect(server.registered).toEqual(["once", "once"]);
      const next = server.add("once");
      expect(await server.outcome(next)).toBe("done");
    });
  });
}

describe("results", () => {
  /** Resolves when this many tasks are settled, which a worker found waiting. */
  async function workOff(count: number, options: Partial<WorkerOptions>) {
    const server = startServer();
    const worker = newWorker(server.url, options);
    worker.action("count", (input) => input.number);
    const tokens = Array.from({ length: count }, (_, number) => server.add("count", { number }));
    await worker.start();
    await server.until(() => server.settled.size === tokens.length);
    return { server, tokens };
  }

  test("ride along with polls, many in one call", async () => {
    const { server, tokens } = await workOff(1000, { concurrency: 50, pollers: 2 });
    const outputs = await Promise.all(tokens.map((token) => server.outcome(token)));
    expect(outputs).toEqual(tokens.map((_, number) => number));
    const polls = server
      .callsOf("Poll")
      .filter(({ request }) => (request as PollRequest).results.length > 0);
    // 50 places: each call brings about as many results as it takes tasks.
    expect(polls.length).toBeLessThan(100);
    expect(server.callsOf("Complete")).toEqual([]);
  });

  test("ride along with a poll that has room for the tasks that follow from them", async () => {
    const { server } = await workOff(2000, { concurrency: 200, pollers: 4 });
    for (const { request } of server.callsOf("Poll")) {
      const { results, maxTasks, waitSeconds } = request as PollRequest;
      if (waitSeconds > 0) expect(results.length).toBeLessThanOrEqual(maxTasks);
    }
    expect(server.callsOf("Complete")).toEqual([]);
  });

  test("do not wait behind parked polls", async () => {
    const server = startServer();
    const worker = newWorker(server.url, { pollers: 2 });
    const finish = gate();
    worker.action("slow", () => finish.opened);
    await worker.start();
    const token = server.add("slow");
    const waits = () =>
      server.callsOf("Poll").map(({ request }) => (request as PollRequest).waitSeconds);
    await server.until(() => waits().filter((seconds) => seconds > 0).length >= 3);
    finish.open();
    expect(await server.outcome(token)).toBe(null);
    expect(waits()).toContain(0);
  });

  test("that the server could not settle are sent again", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    worker.action("again", () => 7);
    await worker.start();
    let refusals = 0;
    server.onResult = () => (++refusals <= 2 ? ResultStatus.RETRY : undefined);
    expect(await server.outcome(server.add("again"))).toBe(7);
    expect(refusals).toBe(3);
  });

  test("that the server finds invalid become a failure with its words", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    worker.action("odd", () => 7);
    await worker.start();
    server.onResult = ({ failure }) => (failure === undefined ? ResultStatus.INVALID : undefined);
    expect(await server.outcome(server.add("odd"))).toEqual({
      code: "RESULT_REFUSED",
      message: "the server refused the result: scripted",
      retryable: false,
    });
  });

  test("are split so that no request passes the limit", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const all = gate();
    let begun = 0;
    worker.action("big", async () => {
      if (++begun === 12) all.open();
      await all.opened;
      return "x".repeat(limits.payloadBytesMax - 2);
    });
    await worker.start();
    const tokens = Array.from({ length: 12 }, () => server.add("big"));
    await server.until(() => tokens.every((token) => server.settled.has(token)));
    const sizes = server.calls.map(({ bytes }) => bytes);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.requestBytesMax);
    expect(Math.max(...sizes)).toBeGreaterThan(limits.payloadBytesMax * 2);
  });
});

describe("failures", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const cases: [string, () => unknown, Record<string, unknown>][] = [
    [
      "NonRetryableError",
      () => {
        throw new NonRetryableError("CARD_DECLINED", "too much", { amount: 3 });
      },
      { code: "CARD_DECLINED", message: "too much", retryable: false },
    ],
    [
      "an error with a code",
      () => Promise.reject(Object.assign(new Error("no route"), { code: "EHOSTUNREACH" })),
      { code: "EHOSTUNREACH", message: "no route" },
    ],
    [
      "any other error",
      () => {
        throw new Error("oops");
      },
      { code: "WORKER_ERROR", message: "oops" },
    ],
    [
      "a thrown text",
      () => {
        throw "just text";
      },
      { code: "WORKER_ERROR", message: "just text" },
    ],
    [
      "an error whose message cannot be read",
      () => {
        throw {
          get message(): string {
            throw new Error("no message");
          },
        };
      },
      { code: "WORKER_ERROR", message: "[object Object]" },
    ],
    [
      "an error that cannot be read at all",
      () => {
        const refuse = () => {
          throw new Error("no member");
        };
        throw new Proxy({}, { get: refuse, has: refuse, getPrototypeOf: refuse });
      },
      { code: "WORKER_ERROR", message: "A value was thrown that cannot be read as text." },
    ],
    [
      "an object without a prototype",
      () => Promise.reject(Object.create(null)),
      { code: "WORKER_ERROR", message: "A value was thrown that cannot be read as text." },
    ],
    [
      "details that are nested too deep",
      () => Promise.reject(new NonRetryableError("DEEP", "kept", nested(9_000))),
      { code: "DEEP", message: "kept", retryable: false },
    ],
    [
      "an output whose toJSON throws what cannot be read",
      () => ({ toJSON: () => Reflect.apply(cases[5]![1], undefined, []) }),
      { code: "OUTPUT_NOT_JSON", retryable: false },
    ],
    ["a cycle in the output", () => circular, { code: "OUTPUT_NOT_JSON", retryable: false }],
    ["a BigInt in the output", () => ({ n: 1n }), { code: "OUTPUT_NOT_JSON", retryable: false }],
    ["a function as output", () => () => 1, { code: "OUTPUT_NOT_JSON", retryable: false }],
    [
      "an output beyond the limit",
      () => "x".repeat(limits.payloadBytesMax - 1),
      { code: "OUTPUT_TOO_LARGE", retryable: false },
    ],
  ];
  test("carry code, message and details of what went wrong, and cost no room", async () => {
    const server = startServer();
    const worker = newWorker(server.url, { concurrency: 1, pollers: 1 });
    for (const [name, handler] of cases) worker.action(name, handler);
    await worker.start();
    const first = cases.map(([name]) => server.add(name));
    await server.until(() => first.every((token) => server.settled.has(token)));
    server.settled.clear();
    for (const [name, , expected] of cases) {
      expect(await server.outcome(server.add(name))).toMatchObject(expected);
    }
    const declined = [...server.settled.values()][0]!.failure!;
    expect(declined.details?.kind).toMatchObject({ case: "structValue" });
  });
});

describe("the log", () => {
  const thrown = new Error("no stock", { cause: new Error("connection refused") });
  const failing = () => Promise.reject(Object.assign(thrown, { details: { shelf: 12 } }));

  test("says which task failed, in which attempt, and where in the code", async () => {
    const server = startServer();
    const { lines, logger } = errorLog();
    const worker = newWorker(server.url, { logger });
    worker.action("reserve", failing);
    await worker.start();
    await server.outcome(server.add("reserve", { secret: "s3cret" }, { attempt: 2 }));
    expect(lines).toHaveLength(1);
    const place = "reserve (execution execution-1, action 1 of tested, attempt 2) failed";
    expect(lines[0]).toStartWith(`${place}: Error: no stock\n    at `);
    expect(lines[0]).toContain("worker.test.ts");
    expect(lines[0]).toContain("caused by: Error: connection refused\n    at ");
    expect(lines[0]).not.toMatch(/s3cret|shelf/);
  });

  test("holds payloads where it is asked for them", async () => {
    const server = startServer();
    const { lines, logger } = errorLog();
    const worker = newWorker(server.url, { logger, logPayloads: true });
    worker.action("reserve", failing);
    await worker.start();
    await server.outcome(server.add("reserve", { secret: "s3cret" }));
    expect(lines[0]).toEndWith('\nparameters: {"secret":"s3cret"}\ndetails: {"shelf":12}');
  });

  test("names the task whose result the server refused", async () => {
    const server = startServer();
    const { lines, logger } = errorLog();
    const worker = newWorker(server.url, { logger });
    worker.action("odd", () => 7);
    await worker.start();
    server.onResult = ({ failure }) => (failure === undefined ? ResultStatus.INVALID : undefined);
    await server.outcome(server.add("odd"));
    const place = "odd (execution execution-1, action 1 of tested, attempt 1)";
    expect(lines).toEqual([`${place}: the server refused the result, scripted`]);
  });

  test("is not filled by an action that always fails", async () => {
    const clock = new HandClock();
    const { lines, logger } = errorLog();
    const failures = new FailureLog(logger, false, clock);
    const task = { executionId: "e", workflow: "w", actionId: "1", action: "reserve", attempt: 1 };
    for (let count = 0; count < 300; count += 1) {
      failures.failed({ ...task, parametersText: "{}" }, thrown);
    }
    expect(lines).toHaveLength(100);
    await clock.pass(10_000);
    expect(lines.at(-1)).toBe("reserve: 200 more lines were left out.");
  });

  test("costs no result when it fails", async () => {
    const server = startServer();
    const error = () => {
      throw new Error("the disk is full");
    };
    const worker = newWorker(server.url, { concurrency: 1, logger: { ...quiet, error } });
    worker.action("reserve", failing);
    await worker.start();
    for (const token of [server.add("reserve"), server.add("reserve")]) {
      expect(await server.outcome(token)).toMatchObject({ message: "no stock" });
    }
  });

  test("stays silent about a handler that ends as its task was cancelled", async () => {
    const server = startServer();
    const { lines, logger } = errorLog();
    const worker = newWorker(server.url, { logger, concurrency: 1 });
    worker.action("wait", (_input, { signal }) => setTimeoutPromise(60_000, null, { signal }));
    worker.action("other", () => "fine");
    await worker.start();
    const token = server.add("wait", {}, { heartbeatMs: 90n });
    await server.until(() => server.beats.has(token));
    server.cancelled.add(token);
    const next = server.add("wait", {}, { heartbeatMs: 90n });
    await server.until(() => server.beats.has(next));
    expect(lines).toEqual([]);
    server.cancelled.add(next);
  });
});

describe("room", () => {
  test("no action ever holds more than its concurrency, and small ones wait for nobody", async () => {
    const server = startServer();
    const worker = newWorker(server.url, { pollers: 3 });
    const rooms = { one: 1, three: 3, twenty: 20 };
    const now: Record<string, number> = { one: 0, three: 0, twenty: 0 };
    const most: Record<string, number> = { one: 0, three: 0, twenty: 0 };
    for (const [name, concurrency] of Object.entries(rooms)) {
      worker.action(name, { concurrency }, async () => {
        now[name]! += 1;
        most[name] = Math.max(most[name]!, now[name]!);
        await Bun.sleep(Math.random() * 3);
        now[name]! -= 1;
      });
    }
    const tokens: string[] = [];
    for (let i = 0; i < 300; i += 1)
      tokens.push(server.add(i % 15 === 0 ? "one" : i % 5 === 0 ? "three" : "twenty"));
    await worker.start();
    await server.until(() => tokens.every((token) => server.settled.has(token)));
    expect(most).toMatchObject({ one: 1, three: 3 });
    expect(most.twenty!).toBeLessThanOrEqual(20);
    expect(most.twenty!).toBeGreaterThan(10);
  });

  test("an action that was full when the others parked is asked for again at once", async () => {
    const server = startServer();
    const worker = newWorker(server.url, { pollers: 1 });
    const finish = gate();
    worker.action("rare", { concurrency: 1 }, () => finish.opened);
    worker.action("common", { concurrency: 10 }, () => null);
    await worker.start();
    const lastNames = () =>
      (server.callsOf("Poll").at(-1)?.request as PollRequest | undefined)?.actions.join();
    const first = server.add("rare");
    await server.until(() => lastNames() === "common");
    finish.open();
    await server.outcome(first);
    expect(await server.outcome(server.add("rare"))).toBe(null);
  });
});

describe("heartbeats", () => {
  test("abort the signal of a cancelled task, and its result is not sent", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const reasons: unknown[] = [];
    worker.action("wait", async (_input, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reasons.push(signal.reason);
      server.changed();
    });
    worker.action("other", () => "fine");
    await worker.start();
    const token = server.add("wait", {}, { heartbeatMs: 90n });
    await server.until(() => server.beats.has(token));
    server.cancelled.add(token);
    await server.until(() => reasons.length === 1);
    expect(reasons[0]).toBeInstanceOf(TaskStopped);
    expect((reasons[0] as TaskStopped).reason).toBe("cancelled");
    expect(await server.outcome(server.add("other"))).toBe("fine");
    expect(server.settled.has(token)).toBe(false);
  });

  test("end at the attempt's deadline, and the handler hears of it", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    let heard: unknown;
    worker.action("late", async (_input, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      heard = (signal.reason as TaskStopped).reason;
    });
    await worker.start();
    const deadlineMs = BigInt(Date.now() + 1_500);
    const token = server.add("late", {}, { heartbeatMs: 90n, deadlineMs });
    await server.until(() => server.settled.has(token));
    expect(heard).toBe("deadline");
  });

  test("go on when a handler gives a progress that no heartbeat carries", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const finish = gate();
    worker.action("deep", async (_input, { heartbeat }) => {
      expect(() => heartbeat(nested(200))).toThrow("The progress is nested too deep.");
      await finish.opened;
    });
    await worker.start();
    const token = server.add("deep", {}, { heartbeatMs: 90n });
    await server.until(() => server.beats.has(token));
    finish.open();
    expect(await server.outcome(token)).toBe(null);
  });

  test("show progress at once", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const finish = gate();
    worker.action("steps", async (_input, { heartbeat }) => {
      heartbeat({ done: 3, of: 7 });
      await finish.opened;
    });
    await worker.start();
    const token = server.add("steps");
    await server.until(() => server.beats.has(token));
    finish.open();
    await server.outcome(token);
    const call = server.callsOf("Heartbeat")[0]!.request as {
      tasks: { progress?: { kind: { value: { fields: Record<string, { kind: unknown }> } } } }[];
    };
    expect(call.tasks[0]!.progress!.kind.value.fields.done!.kind).toEqual({
      case: "numberValue",
      value: 3,
    });
  });
});

describe("stopping", () => {
  test("lets handlers end, and sends their results before it resolves", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const begun = gate();
    const finish = gate();
    worker.action("slow", async () => {
      begun.open();
      await finish.opened;
      return "kept";
    });
    await worker.start();
    const token = server.add("slow");
    await begun.opened;
    const stopped = worker.stop();
    finish.open();
    await stopped;
    expect(server.settled.has(token)).toBe(true);
    expect(await server.outcome(token)).toBe("kept");
    expect(server.released).toEqual([]);
    server.add("slow");
    expect(server.settled.size).toBe(1);
  });

  test("gives back, unbegun, what arrives while it stops", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    let ran = false;
    worker.action("late", () => {
      ran = true;
    });
    await worker.start();
    await server.until(() => server.callsOf("Poll").length === 2);
    const [leased, answer] = [gate(), gate()];
    server.beforeAnswer = async (method) => {
      if (method !== "Poll") return;
      leased.open();
      await answer.opened;
    };
    const token = server.add("late");
    await leased.opened;
    const stopped = worker.stop();
    answer.open();
    await stopped;
    expect(server.released).toEqual([token]);
    expect(ran).toBe(false);
  });

  test("gives back what does not end in time", async () => {
    const server = startServer();
    const worker = newWorker(server.url);
    const begun = gate();
    let reason = "";
    worker.action("stuck", async (_input, { signal }) => {
      begun.open();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reason = (signal.reason as TaskStopped).reason;
    });
    await worker.start();
    const token = server.add("stuck");
    await begun.opened;
    await worker.stop({ drainMs: 30 });
    expect(server.released).toEqual([token]);
    expect(reason).toBe("stopping");
    expect(server.settled.size).toBe(0);
  });
});

describe("several servers", () => {
  test("a dead one is passed over, a draining one is left", async () => {
    const dead = new ScriptedServer().start();
    await dead.cut();
    const first = startServer();
    const second = startServer();
    const worker = newWorker([dead.url, first.url, second.url]);
    worker.action("where", () => null);
    await worker.start();
    await first.outcome(first.add("where"));
    first.draining = true;
    // Wakes the parked polls; its result goes to where the worker is by then.
    await second.outcome(first.add("where"));
    expect(second.registered).toEqual(["where"]);
    await second.outcome(second.add("where"));
  });

  test("one that answers errors is left for the next, and nothing is lost", async () => {
    const first = startServer();
    const second = startServer();
    const worker = newWorker([first.url, second.url]);
    worker.action("work", () => "ok");
    await worker.start();
    const body = JSON.stringify({ code: "unavailable", message: "the store is away" });
    await first.until(() => first.callsOf("Poll").length === 2);
    first.beforeCall = () => new Response(body, { status: 503 });
    const token = first.add("work");
    await second.until(() => second.callsOf("Poll").length > 0);
    // The result is sent where the worker is now.
    expect(await second.outcome(token)).toBe("ok");
  });
});

describe("starting", () => {
  test("throws when the server refuses the actions, with the server's words", async () => {
    const server = startServer();
    const body = JSON.stringify({ code: "invalid_argument", message: "retryCount is negative" });
    server.beforeCall = () => new Response(body, { status: 400 });
    const worker = newWorker(server.url);
    worker.action("bad", { retryCount: -1 }, () => null);
    await expect(worker.start()).rejects.toThrow("retryCount is negative");
  });

  test("waits for a server that is not there yet", async () => {
    const server = new ScriptedServer().start();
    await server.cut();
    running.push({ stop: () => server.cut() });
    const worker = newWorker(server.url);
    worker.action("early", () => 1);
    const started = worker.start();
    server.start();
    await started;
    expect(await server.outcome(server.add("early"))).toBe(1);
  });

  test("refuses what makes no sense", async () => {
    await expect(
      new Worker({ server: "localhost:8080" }).action("a", () => 1).start(),
    ).rejects.toThrow(
      '"localhost:8080" is not the address of a server. An address begins with http:// or https://',
    );
    const nowhere = new Worker({ server: undefined as unknown as string }).action("a", () => 1);
    await expect(nowhere.start()).rejects.toThrow("undefined is not the address of a server.");
    const keyed = new Worker({ server: "http://x", key: "two words" }).action("a", () => 1);
    await expect(keyed.start()).rejects.toThrow("The key holds a space");
    expect(() => new Worker({ server: "http://x", concurrency: 0 })).toThrow("concurrency");
    expect(() => new Worker({ server: "http://x", pollers: 9 })).toThrow("pollers");
    const worker = new Worker({ server: "http://x" }).action("a", () => 1);
    expect(() => worker.action("a", () => 1)).toThrow("has two handlers");
  });
});
