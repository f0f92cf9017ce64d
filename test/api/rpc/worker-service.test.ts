/** What WorkerService does with results, tasks, sizes and registrations, whichever the protocol. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { limits } from "../../../src/base/limits.ts";
import {
  HeartbeatStatus,
  PayloadFormat,
  PollResponseSchema,
  ReleaseStatus,
  ResultStatus,
  WorkerService,
} from "../../../src/gen/orchy/v1/worker_pb.ts";
import { oldestFormat } from "../../../src/model/format.ts";
import { call as get } from "../../support/orchy.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call } from "./http.ts";

// Some of these move megabytes.
setDefaultTimeout(120_000);

let edge: Edge;
let client: Client<typeof WorkerService>;

beforeEach(async () => {
  edge = await startEdge();
  client = createClient(WorkerService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
});
afterEach(() => edge.stop());

const bytes = (text: string) => new TextEncoder().encode(text);

async function lease(count: number) {
  for (let i = 0; i < count; i++) await edge.add("a", "{}");
  const { tasks } = await client.poll({ actions: ["a"], maxTasks: count });
  expect(tasks).toHaveLength(count);
  return tasks;
}

const tokensOf = (tasks: readonly { readonly token: string }[]) => tasks.map(({ token }) => token);

test("one bad result is answered INVALID and never spoils the others", async () => {
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const number = (value: number) => create(ValueSchema, { kind: { case: "numberValue", value } });
  const bad = [
    { outputJson: bytes("{oops") },
    { outputJson: bytes(""), output: number(Number.NaN) },
    { output: number(Number.POSITIVE_INFINITY) },
    { output: create(ValueSchema) },
    { outputJson: new Uint8Array([0x22, 0xff, 0x22]) },
    { outputJson: bytes("\uFEFF{}") },
    { outputJson: bytes(nested(129)) },
    { outputJson: bytes("[1e999]") },
    { outputJson: bytes(`"${"x".repeat(limits.payloadBytesMax)}"`) },
    { outputJson: bytes("1"), failure: { code: "X" } },
    { failure: { code: "X".repeat(129) } },
  ];
  const leased = await lease(bad.length + 2);
  const tokens = tokensOf(leased);
  const results = [
    { token: tokens.at(-1)!, outputJson: bytes(nested(128)) },
    ...bad.map((result, index) => ({ token: tokens[index]!, ...result })),
    { token: tokens.at(-2)!, outputJson: bytes("  -0.5e3 ") },
    { token: "", outputJson: bytes("1") },
    { token: "k2.other.x:1:1:1", outputJson: bytes("1") },
    { token: tokens.at(-1)!, outputJson: bytes(nested(128)) },
  ];
  const answer = await client.poll({ actions: ["a"], waitSeconds: 30, results });
  const { ACCEPTED, INVALID, STALE, DUPLICATE } = ResultStatus;
  expect(answer.results.map(({ status }) => status)).toEqual([
    ACCEPTED,
    ...bad.map(() => INVALID),
    ACCEPTED,
    INVALID,
    STALE,
    DUPLICATE,
  ]);
  const messages = answer.results.map(({ message }) => message).filter(Boolean);
  expect(messages).toEqual([
    "output_json: is not JSON",
    "output: has the number NaN",
    "output: has the number Infinity",
    "output: has a value of no kind; null is `null_value`",
    "output_json: is not valid UTF-8",
    "output_json: is not JSON",
    "output_json: is nested deeper than 128 levels",
    "output_json: has a number beyond 1.8e308",
    `output_json: is ${limits.payloadBytesMax + 2} bytes of JSON; at most 3145728 are allowed`,
    "exactly one of output, output_json and failure may be set",
    "failure.code: is longer than 128 characters",
    "token: is missing",
  ]);
  const { body } = await get(edge.server, "GET", "/v1/executions?status=COMPLETED");
  const completed = body.items.map(({ id }: { id: string }) => id).sort();
  expect(completed).toEqual(
    leased
      .slice(-2)
      .map(({ executionId }) => executionId)
      .sort(),
  );
});

test("deep Struct output: answered by itself up to what a message can be told apart", async () => {
  const [first, second] = await lease(2);
  const deep = JSON.parse(`${'{"a":'.repeat(140)}1${"}".repeat(140)}`);
  const answer = await call(
    `${edge.url}/orchy.v1.WorkerService/Complete`,
    JSON.stringify({
      results: [
        { token: first!.token, output: deep },
        { token: second!.token, output: [1, "x"] },
      ],
    }),
  );
  expect(answer.json.results.map(({ status }: { status: string }) => status)).toEqual([
    "RESULT_STATUS_INVALID",
    "RESULT_STATUS_ACCEPTED",
  ]);
  expect(await edge.outputOf(second!.executionId)).toBe('[1,"x"]');
});

test("outputs of every kind arrive as the JSON they were", async () => {
  const outputs = ["null", "true", "-1.5", '"a\\"b"', "[]", '{"__proto__":{"x":1},"":[{}]}'];
  const leased = await lease(outputs.length);
  const results = outputs.map((text, index) => ({
    token: leased[index]!.token,
    output: JSON.parse(text),
  }));
  const url = `${edge.url}/orchy.v1.WorkerService/Complete`;
  expect((await call(url, JSON.stringify({ results }))).status).toBe(200);
  for (const [index, output] of outputs.entries()) {
    expect(await edge.outputOf(leased[index]!.executionId)).toBe(output);
  }
  expect(({} as { x?: number }).x).toBeUndefined();
});

test("failures: defaults, details, and a long message is cut rather than refused", async () => {
  const [first, second] = await lease(2);
  const answer = await client.complete({
    results: [
      { token: first!.token, failure: { message: "m".repeat(10_000) } },
      {
        token: second!.token,
        failure: {
          code: "CARD_DECLINED",
          message: "no",
          retryable: false,
          details: create(ValueSchema, { kind: { case: "stringValue", value: "d" } }),
        },
      },
    ],
  });
  expect(answer.results.map(({ status }) => status)).toEqual([1, 1]);
  const [retried, ended] = [
    await edge.actionOf(first!.executionId),
    await edge.actionOf(second!.executionId),
  ];
  expect([retried.status, ended.status]).toEqual(["RETRYING", "FAILED"]);
  expect(retried.attempts[0].error).toEqual({
    code: "WORKER_ERROR",
    message: "m".repeat(limits.errorMessageCharsMax),
  });
  const error = { code: "CARD_DECLINED", message: "no", details: "d" };
  expect(ended.attempts[0].error).toEqual(error);
});

test("a poll without actions acts as Complete", async () => {
  const [token] = tokensOf(await lease(1));
  const answer = await client.poll({ waitSeconds: 30, results: [{ token: token! }] });
  expect(answer.results.map(({ status }) => status)).toEqual([ResultStatus.ACCEPTED]);
});

test("what a poll asks is kept to, with defaults filled in", async () => {
  const ids = [await edge.add("a", "{}"), await edge.add("b", "{}")];
  const first = await client.poll({ actions: ["a", "b", "a"], workerId: "w-1", heartbeats: true });
  expect(first.tasks.map(({ executionId }) => executionId)).toEqual([ids[0]!]);
  expect(first.tasks[0]?.heartbeatMs).toBe(BigInt(limits.heartbeatSecondsDefault * 1000));
  const { body } = await get(edge.server, "GET", "/v1/workers");
  expect(body.items).toMatchObject([{ id: "w-1", actions: ["a", "b"], queues: ["default"] }]);

  const second = await client.poll({ actions: ["b"] });
  expect(second.tasks[0]).toMatchObject({ executionId: ids[1], heartbeatMs: 0n });
  for (let i = 0; i < 8; i++) await edge.add("a", "{}", { queue: "gpu" });
  expect((await client.poll({ actions: ["a"], maxTasks: 7 })).tasks).toHaveLength(0);
  const gpu = { actions: ["a"], queues: ["gpu"], maxTasks: 7, waitSeconds: 30 };
  expect((await client.poll(gpu)).tasks).toHaveLength(7);

  const started = performance.now();
  expect((await client.poll({ actions: ["c"], waitSeconds: 0.2 })).tasks).toEqual([]);
  const waitedMs = performance.now() - started;
  expect(waitedMs).toBeGreaterThan(190);
  expect(waitedMs).toBeLessThan(30_000);
});

test("an answer closes below 4 MiB: the surplus is released, and comes with the next poll", async () => {
  // 550 kB of text, 1.2 MB as a Struct: the text of all five would fit, three Structs do.
  const parameters = JSON.stringify({ items: Array(110_000).fill(0.25) });
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await edge.add("a", parameters));
  const counts: number[] = [];
  while (counts.length < 10) {
    const answer = await client.poll({ actions: ["a"], maxTasks: 5 });
    if (answer.tasks.length === 0) break;
    expect(toBinary(PollResponseSchema, answer).length).toBeLessThan(4 * 1024 * 1024);
    counts.push(answer.tasks.length);
  }
  expect(counts).toEqual([3, 2]);
  for (const id of ids) {
    const { status, attempts } = await edge.actionOf(id);
    expect([status, attempts.length]).toEqual(["RUNNING", 1]);
  }
});

test("as JSON bytes the same tasks take less room", async () => {
  const parameters = JSON.stringify({ items: Array(110_000).fill(0.25) });
  for (let i = 0; i < 5; i++) await edge.add("a", parameters);
  const payloadFormat = PayloadFormat.JSON;
  const answer = await client.poll({ actions: ["a"], maxTasks: 5, payloadFormat });
  expect(answer.tasks.map(({ parametersJson }) => parametersJson.length)).toEqual(
    Array(5).fill(parameters.length),
  );
});

test("a task of an older server that cannot fit even alone fails, and does not hold up others", async () => {
  edge.setFormat(oldestFormat);
  const id = await edge.add("a", JSON.stringify({ items: Array(500_000).fill(1) }));
  await edge.add("a", '{"small":1}');
  const answer = await client.poll({ actions: ["a"], maxTasks: 2 });
  expect(answer.tasks.map(({ parameters }) => parameters)).toEqual([{ small: 1 }]);
  const { status, attempts } = await edge.actionOf(id);
  expect(status).toBe("FAILED");
  expect(attempts).toMatchObject([{ error: { code: "STRUCT_TOO_LARGE" } }]);
});

const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

test("one of an older server that many clients cannot decode goes alone, and burns no attempt of others", async () => {
  edge.setFormat(oldestFormat);
  const { structDepthMax } = limits;
  const flat = [await edge.add("a", nested(structDepthMax)), await edge.add("a", "{}")];
  const deep = await edge.add("a", nested(structDepthMax + 1));
  const poll = async (more: object = {}) => {
    const { tasks } = await client.poll({ actions: ["a"], maxTasks: 5, ...more });
    return tasks;
  };
  const alone = await poll();
  expect(alone.map(({ executionId }) => executionId)).toEqual([deep]);
  const others = await poll();
  expect(others.map(({ executionId }) => executionId).sort()).toEqual(flat.sort());
  expect(others.map(({ attempt }) => attempt)).toEqual([1, 1]);
  for (const id of flat) expect((await edge.actionOf(id)).attempts).toHaveLength(1);

  await client.release({ tokens: tokensOf([...alone, ...others]) });
  const all = await poll({ payloadFormat: PayloadFormat.JSON });
  expect(all).toHaveLength(3);
});

test("parameters that no Struct can hold are delivered as near as it can", async () => {
  await edge.add("a", '{"huge":1e999,"list":[-1e999,1],"exact":9007199254740993}');
  const { tasks } = await client.poll({ actions: ["a"] });
  expect(tasks[0]?.parameters).toEqual({
    huge: null,
    list: [null, 1],
    exact: 9007199254740992,
  } as JsonObject);
});

test("heartbeats and releases are answered in order", async () => {
  const [first, second] = await lease(2);
  const tasks = [{ token: "k2.x.gone:1:1:1" }, { token: first!.token }];
  const beat = await client.heartbeat({ tasks });
  expect(beat.statuses).toEqual([HeartbeatStatus.STALE, HeartbeatStatus.EXTENDED]);
  const tokens = [second!.token, "k2.x.gone:1:1:1"];
  const release = await client.release({ tokens });
  expect(release.statuses).toEqual([ReleaseStatus.RELEASED, ReleaseStatus.STALE]);
  const [again] = (await client.poll({ actions: ["a"] })).tasks;
  expect(again).toMatchObject({ executionId: second!.executionId, attempt: 1 });
  expect((await client.release({ tokens })).statuses[0]).toBe(ReleaseStatus.STALE);
});

test("bad progress never costs the lease", async () => {
  const [token] = tokensOf(await lease(1));
  const progress = create(ValueSchema, { kind: { case: "numberValue", value: Number.NaN } });
  const { statuses } = await client.heartbeat({ tasks: [{ token: token!, progress }] });
  expect(statuses).toEqual([HeartbeatStatus.EXTENDED]);
});

test("batches are bounded", async () => {
  const refused = [
    client.complete({ results: Array(1001).fill({ token: "t" }) }),
    client.heartbeat({ tasks: Array(10_001).fill({ token: "t" }) }),
    client.release({ tokens: Array(10_001).fill("t") }),
    client.registerActions({ actions: Array(1001).fill({ name: "a" }) }),
  ];
  for (const each of refused) {
    const error = await each.then(() => undefined, ConnectError.from);
    expect(error?.code).toBe(Code.InvalidArgument);
    expect(error?.rawMessage).toContain("items; at most");
  }
});

test("registering: only what is set is passed on; all problems of all are told at once", async () => {
  await client.registerActions({
    actions: [{ name: "a" }, { name: "b", retryCount: 0, jitter: 0.5, nonRetryable: ["X"] }],
  });
  const { body } = await get(edge.server, "GET", "/v1/actions");
  expect(body.items.map(({ definition }: { definition: unknown }) => definition)).toEqual([
    { name: "a" },
    { name: "b", retryCount: 0, jitter: 0.5, nonRetryable: ["X"] },
  ]);
  const error = await client
    .registerActions({
      actions: [{ name: "c", retryCount: -1 }, { name: "d" }, { name: "e", retryCount: -2 }],
    })
    .then(() => undefined, ConnectError.from);
  expect(error?.code).toBe(Code.InvalidArgument);
  expect(error?.rawMessage).toContain("/actions/0/retryCount: ");
  expect(error?.rawMessage).toContain("/actions/2/retryCount: ");
});
