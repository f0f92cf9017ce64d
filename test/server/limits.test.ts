/** The largest that is allowed, end to end: payloads, workflows, numbers; and what is beyond it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { formatTaskId, formatToken, tokenPrefix } from "../../src/model/ids.ts";
import { readMetrics, type Samples, total } from "../support/metrics.ts";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, poll, pollOne, service, single } from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.remove());

/** A JSON string of exactly this many bytes. */
const textOf = (bytes: number) => "x".repeat(bytes - 2);

test("payloads of 3 MB pass whole through a chain of steps", async () => {
  const step = (id: string, from: string, next?: string) => ({
    id,
    type: "user",
    name: `large-${id}`,
    parameters: { text: from },
    ...(next !== undefined && { next: { default: next } }),
  });
  await saveWorkflow(server, {
    name: "large",
    rootAction: "a",
    actions: [
      step("a", "$.input", "b"),
      step("b", "$.a.output", "t"),
      {
        id: "t",
        type: "system",
        name: "transform",
        parameters: { again: "$.b.output" },
        next: { default: "s" },
      },
      {
        id: "s",
        type: "system",
        name: "javascript",
        expression: "$.size = $.t.output.again.length",
        next: { default: "c" },
      },
      step("c", "$.t.output.again"),
    ],
  });
  // Room for what the steps put around it.
  const text = textOf(limits.payloadBytesMax - 100);
  const id = await startExecution(server, "large", text);
  for (const step of ["a", "b", "c"]) {
    const task = await pollOne(server, `large-${step}`);
    expect(task.parameters.text === text).toBe(true);
    expect(await complete(server, done(task, text))).toEqual(["ACCEPTED"]);
  }
  const body = await untilEnded(server, id);
  expect([body.status, body.data.s.output]).toEqual(["COMPLETED", { size: text.length }]);
  expect(body.result === text).toBe(true);
});

test("several large tasks come in several answers, none lost", async () => {
  await saveWorkflow(server, single("heavy", { parameters: { text: "$.input" } }));
  const text = textOf(2_000_000);
  const ids = new Set(
    await Promise.all(Array.from({ length: 4 }, () => startExecution(server, "heavy", text))),
  );
  while (ids.size > 0) {
    const tasks = await poll(server, { actions: ["heavy"], maxTasks: 10, waitSeconds: 5 });
    expect(tasks).toHaveLength(1);
    expect([tasks[0]!.attempt, ids.delete(tasks[0]!.executionId)]).toEqual([1, true]);
    await complete(server, done(tasks[0]!));
  }
});

test("what is too large is refused, and the attempt goes on", async () => {
  await saveWorkflow(server, single("too-large"));
  const tooLarge = textOf(limits.payloadBytesMax + 1);
  const start = { workflow: "too-large", input: tooLarge };
  const { status, body } = await call(server, "POST", "/v1/executions", start);
  expect([status, body.error.code]).toEqual([413, "TOO_LARGE"]);
  const id = await startExecution(server, "too-large");
  const task = await pollOne(server, "too-large");
  expect(await complete(server, done(task, tooLarge))).toEqual(["INVALID"]);
  expect(await complete(server, done(task, "small"))).toEqual(["ACCEPTED"]);
  expect((await untilEnded(server, id)).result).toBe("small");
});

test("an execution of 1,000 parallel actions runs, joins and is deleted", async () => {
  const names = Array.from({ length: limits.definitionActionsMax - 1 }, (_, n) => `p${n}`);
  await saveWorkflow(server, {
    name: "wide",
    rootAction: names,
    actions: [
      ...names.map((id, n) => ({
        id,
        type: "user",
        name: "wide",
        parameters: { n },
        next: { default: "join" },
      })),
      {
        id: "join",
        type: "system",
        name: "transform",
        parameters: { first: "$.p0.output", last: "$.p998.output" },
      },
    ],
  });
  const worker = createWorker(server);
  let running = 0;
  worker.action("wide", { concurrency: 200 }, async (input) => {
    running += 1;
    return (input as { n: number }).n;
  });
  await worker.start();
  const id = await startExecution(server, "wide");
  const body = await untilEnded(server, id);
  await worker.stop();
  expect([body.status, body.result]).toEqual(["COMPLETED", { first: 0, last: 998 }]);
  expect(running).toBe(names.length);
  const { status, body: page } = await call(
    server,
    "GET",
    `/v1/executions/${id}/history?limit=500`,
  );
  expect([status, page.items.length]).toEqual([200, 500]);
  expect((await call(server, "DELETE", `/v1/executions/${id}`)).status).toBe(204);
  expect((await call(server, "GET", `/v1/executions/${id}`)).status).toBe(410);
}, 120_000);

test("one that is cancelled with 1,000 actions open hands none of them out any more", async () => {
  const ids = Array.from({ length: 1_000 }, (_, n) => `q${n}`);
  await saveWorkflow(server, {
    name: "wide-cancelled",
    rootAction: ids,
    actions: ids.map((id) => ({ id, type: "user", name: "wide-cancelled" })),
  });
  const id = await startExecution(server, "wide-cancelled");
  const tasks = await poll(server, { actions: ["wide-cancelled"], maxTasks: 100 });
  expect(tasks.length).toBeGreaterThan(0);
  await call(server, "POST", `/v1/executions/${id}/cancel`);
  const request = { actions: ["wide-cancelled"], maxTasks: 1_000, waitSeconds: 0.3 };
  expect(await poll(server, request)).toEqual([]);
  const answers = await complete(server, ...tasks.map((task) => done(task)));
  expect(new Set(answers)).toEqual(new Set(["STALE"]));
});

test("integers beyond 2^53 pass exactly, from REST to a worker and back", async () => {
  await saveWorkflow(server, {
    ...single("exact", { parameters: { n: "$.input.n", in: ["{$.input.n}", "no {$.input.n}"] } }),
    output: { worker: "$.a.output", picked: "$.a.output.n" },
  });
  const n = "123456789012345678901234567890";
  const start = `{"workflow":"exact","input":{"n":${n}}}`;
  const { body: started } = await call(server, "POST", "/v1/executions", start);
  const request = {
    actions: ["exact"],
    waitSeconds: 5,
    payloadFormat: "PAYLOAD_FORMAT_JSON",
  };
  const { tasks } = await service(server, "Poll", request);
  const parameters = atob(tasks[0].parametersJson);
  expect(parameters).toBe(`{"n":${n},"in":[${n},"no ${n}"]}`);
  await complete(server, { token: tasks[0].token, outputJson: btoa(`{"n":-${n}}`) });
  await untilEnded(server, started.id);
  const response = await fetch(`${server.url}/v1/executions/${started.id}/result`);
  expect(await response.text()).toContain(`"result":{"worker":{"n":-${n}},"picked":-${n}}`);
});

test("more results than fit one commit are all settled", async () => {
  const ids = Array.from({ length: 300 }, (_, n) => `m${n}`);
  await saveWorkflow(server, {
    name: "many",
    rootAction: ids,
    actions: [
      ...ids.map((id) => ({ id, type: "user", name: "many", next: { default: `${id}-after` } })),
      ...ids.map((id) => ({ id: `${id}-after`, type: "system", name: "transform" })),
    ],
  });
  const id = await startExecution(server, "many");
  const tokens: string[] = [];
  while (tokens.length < ids.length) {
    const tasks = await poll(server, { actions: ["many"], maxTasks: 300, waitSeconds: 5 });
    tokens.push(...tasks.map((task) => task.token));
  }
  const results = tokens.map((token) => ({ token, output: token }));
  const answers = await complete(server, ...results, ...results);
  expect(answers.filter((answer) => answer === "ACCEPTED")).toHaveLength(300);
  expect(answers.filter((answer) => answer === "DUPLICATE")).toHaveLength(300);
  expect((await untilEnded(server, id)).status).toBe("COMPLETED");
});

test("results with wrong tokens for one task are judged many at a time", async () => {
  const action = { id: 1, type: "user", name: "contested" };
  await saveWorkflow(server, { name: "contested", rootAction: 1, actions: [action] });
  const id = await startExecution(server, "contested");
  const task = await pollOne(server, "contested");
  const wrong = Array.from({ length: 500 }, (_, at) => {
    const stamp = `${at}`.padStart(4, "0");
    return { ...done(task, "wrong"), token: task.token.replace(/^(.{4}).{4}/, `$1${stamp}`) };
  });
  const before = await readMetrics(server);
  expect(new Set(await complete(server, ...wrong))).toEqual(new Set(["STALE"]));
  const after = await readMetrics(server);
  const calls = (samples: Samples) => total(samples, "orchy_store_call_seconds_count");
  expect(calls(after) - calls(before)).toBeLessThan(150);
  // One of the crowd is right.
  expect(await complete(server, wrong[0]!, done(task, "right"), wrong[1]!)).toContain("ACCEPTED");
  expect((await untilEnded(server, id)).result).toBe("right");
});

test("an action for which more data would be loaded than memory is meant for fails", async () => {
  const payload = limits.payloadBytesMax - 1_000;
  // What is in memory of a running execution is not loaded, and bounded, too.
  const chars = limits.actionDataCharsMax + limits.cachedExecutionBytesMax;
  const count = Math.ceil(chars / payload) + 2;
  const all = { id: "all", type: "system", name: "transform", parameters: { x: "$..nothing" } };
  const copies = Array.from({ length: count }, (_, at) => ({
    id: `copy-${at}`,
    type: "system",
    name: "transform",
    parameters: "$.input",
    next: { default: at + 1 < count ? `copy-${at + 1}` : "all" },
  }));
  await saveWorkflow(server, { name: "heap", rootAction: "copy-0", actions: [...copies, all] });
  const body = { workflow: "heap", input: { text: textOf(payload - 100) } };
  const ended = await call(server, "POST", "/v1/executions?wait=60", body);
  expect(ended.body.error).toMatchObject({ code: "TOO_LARGE", action: "all" });
  expect(ended.body.error.message).toContain("more than 64 MiB");
}, 120_000);

test("several actions at once that need more than may be loaded all fail", async () => {
  const payload = limits.payloadBytesMax - 1_000;
  const count = Math.ceil(limits.actionDataCharsMax / payload) + 3;
  const copies = Array.from({ length: count }, (_, at) => ({
    id: `copy-${at}`,
    type: "system",
    name: "transform",
    parameters: "$.input",
    next: { default: at + 1 < count ? `copy-${at + 1}` : "rest" },
  }));
  // An execution that only waits is not in memory.
  const next = { default: ["first", "second", "third"] };
  const rest = { id: "rest", type: "system", name: "delay", delaySeconds: 0.1, next };
  const need = (id: string, from: number) => {
    const parameters = copies.slice(from, count + from - 2).map((copy) => `$.${copy.id}.output.no`);
    return { id, type: "system", name: "transform", optional: true, parameters };
  };
  await saveWorkflow(server, {
    name: "heaps",
    rootAction: "copy-0",
    actions: [...copies, rest, need("first", 0), need("second", 1), need("third", 2)],
  });
  const body = { workflow: "heaps", input: { text: textOf(payload - 100) } };
  const { status, result } = (await call(server, "POST", "/v1/executions?wait=60", body)).body;
  expect(status).toBe("COMPLETED");
  expect(Object.keys(result)).toEqual(["first", "second", "third"]);
  for (const { error } of Object.values<{ error: unknown }>(result)) {
    expect(error).toMatchObject({ code: "TOO_LARGE", message: expect.stringContaining("64 MiB") });
  }
}, 120_000);

// Each longer key was once looked for an escape in all of the text behind it.
test("references into a large object cost little more than the object itself", async () => {
  const long = (at: number) => `${at}`.padStart(10, "0");
  const keys = Array.from({ length: 120_000 }, (_, at) => `user-${long(at)}`);
  const input = JSON.stringify({ byUser: Object.fromEntries(keys.map((key) => [key, 1])) });
  const reference = {
    whole: "$.input",
    member: "$.input.byUser.user77",
    union: "$.input.byUser['user1','user2','user3','user4','user-0000000077']",
  };
  const result = { member: null, union: [1] };
  const millisecondsOf = async (name: keyof typeof reference) => {
    const startedAt = performance.now();
    const start = `{"workflow":"reads-${name}","input":${input}}`;
    const { body } = await call(server, "POST", "/v1/executions?wait=60", start);
    expect(body.status).toBe("COMPLETED");
    if (name !== "whole") expect(body.result).toEqual({ value: result[name] });
    return performance.now() - startedAt;
  };
  const names = ["whole", "member", "union"] as const;
  for (const name of names) {
    const read = {
      id: 1,
      type: "system",
      name: "transform",
      parameters: { value: reference[name] },
    };
    await saveWorkflow(server, { name: `reads-${name}`, rootAction: 1, actions: [read] });
  }
  const times = { whole: Infinity, member: Infinity, union: Infinity };
  for (let round = 0; round < 2; round++) {
    for (const name of names) times[name] = Math.min(times[name], await millisecondsOf(name));
  }
  expect(times.member / times.whole).toBeLessThan(8);
  expect(times.union / times.whole).toBeLessThan(8);
}, 120_000);

test("a poll names so many pairs of a queue and an action, and one more is refused", async () => {
  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
  const asked = (queues: number, actions: number) =>
    call(server, "POST", "/orchy.v1.WorkerService/Poll", {
      queues: names("q", queues),
      actions: names("pair", actions),
    });
  expect((await asked(5, limits.pollPairsMax / 5)).status).toBe(200);
  const { status, body } = await asked(100, 1_000);
  expect(status).toBe(400);
  expect(body.message).toContain("/queues: 100 queues with 1000 actions are 100000 pairs");
});

test("workers by the hundred, each with names of its own, are listed as far as they fit", async () => {
  for (let worker = 0; worker < 200; worker++) {
    const actions = Array.from({ length: 1_000 }, (_, i) => `${worker}-${"x".repeat(100)}-${i}`);
    await service(server, "Poll", { actions, workerId: `w${worker}` });
  }
  const { status, body } = await call(server, "GET", "/v1/workers");
  expect(status).toBe(200);
  expect(body.items[0].id).toBe("w199");
  expect(body.leftOut).toBeGreaterThan(0);
  // Beyond their bytes the longest unseen are forgotten.
  expect(body.items.length + body.leftOut).toBeLessThan(200);
});

test("others get their turn while thousands of unknown tokens are looked at", async () => {
  await saveWorkflow(server, single("turns"));
  const tokens = Array.from({ length: limits.heartbeatsPerCallMax }, () => {
    const task = { executionId: Bun.randomUUIDv7(), run: 1, handout: 1, actionKey: "a" };
    return formatToken(tokenPrefix(0, "abcdefghijklmnop"), formatTaskId(task));
  });
  const calls = [
    () => service(server, "Heartbeat", { tasks: tokens.map((token) => ({ token })) }),
    () => service(server, "Release", { tokens }),
  ];
  for (const ask of calls) {
    let isOver = false;
    const asked = ask().finally(() => {
      isOver = true;
    });
    let starts = 0;
    for (; !isOver; starts++) await startExecution(server, "turns");
    const { statuses } = await asked;
    expect(statuses).toHaveLength(tokens.length);
    expect(statuses.every((status: string) => status.endsWith("_STALE"))).toBeTrue();
    // Looked at in one piece they leave time for one or two.
    expect(starts).toBeGreaterThan(8);
  }
}, 120_000);
