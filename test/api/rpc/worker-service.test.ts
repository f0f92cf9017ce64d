/** What WorkerService does with results, tasks, sizes and registrations, whichever the protocol. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  HeartbeatStatus,
  PayloadFormat,
  PollResponseSchema,
  ReleaseStatus,
  ResultStatus,
  WorkerService,
} from "../../../src/gen/orchy/v1/worker_pb.ts";
import { limits } from "../../../src/limits.ts";
import { type Edge, startEdge } from "./desk-edge.ts";
import { call } from "./http.ts";

let edge: Edge;
let client: Client<typeof WorkerService>;

beforeEach(async () => {
  edge = await startEdge();
  client = createClient(WorkerService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
});
afterEach(() => edge.stop());

const bytes = (text: string) => new TextEncoder().encode(text);

async function lease(count: number): Promise<string[]> {
  for (let i = 0; i < count; i++) edge.desk.add("a", "{}");
  const { tasks } = await client.poll({ actions: ["a"], maxTasks: count });
  return tasks.map(({ token }) => token);
}

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
  const tokens = await lease(bad.length + 2);
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
  expect(edge.desk.settled.size).toBe(2);
});

test("deep Struct output: answered by itself up to what a message can be told apart", async () => {
  const [first, second] = await lease(2);
  const deep = JSON.parse(`${'{"a":'.repeat(140)}1${"}".repeat(140)}`);
  const answer = await call(
    `${edge.url}/orchy.v1.WorkerService/Complete`,
    JSON.stringify({
      results: [
        { token: first, output: deep },
        { token: second, output: [1, "x"] },
      ],
    }),
  );
  expect(answer.json.results.map(({ status }: { status: string }) => status)).toEqual([
    "RESULT_STATUS_INVALID",
    "RESULT_STATUS_ACCEPTED",
  ]);
  expect(edge.desk.settled.get(second!)).toEqual({ ok: true, output: '[1,"x"]' });
});

test("outputs of every kind arrive as the JSON they were; nothing set means null", async () => {
  const outputs = ["null", "true", "-1.5", '"a\\"b"', "[]", '{"__proto__":{"x":1},"":[{}]}'];
  const tokens = await lease(outputs.length + 1);
  const results = outputs.map((text, index) => ({
    token: tokens[index],
    output: JSON.parse(text),
  }));
  const url = `${edge.url}/orchy.v1.WorkerService/Complete`;
  const body = JSON.stringify({ results: [...results, { token: tokens.at(-1) }] });
  expect((await call(url, body)).status).toBe(200);
  expect([...edge.desk.settled.values()]).toEqual(
    [...outputs, "null"].map((output) => ({ ok: true, output })),
  );
  expect(({} as { x?: number }).x).toBeUndefined();
});

test("failures: defaults, details, and a long message is cut rather than refused", async () => {
  const [first, second] = await lease(2);
  const answer = await client.complete({
    results: [
      { token: first!, failure: { message: "m".repeat(10_000) } },
      {
        token: second!,
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
  expect(edge.desk.settled.get(first!)).toEqual({
    ok: false,
    failure: { code: "WORKER_ERROR", message: "m".repeat(limits.errorMessageCharsMax) },
    retryable: true,
  });
  expect(edge.desk.settled.get(second!)).toEqual({
    ok: false,
    failure: { code: "CARD_DECLINED", message: "no", details: "d" },
    retryable: false,
  });
});

test("a poll without actions acts as Complete", async () => {
  const [token] = await lease(1);
  const answer = await client.poll({ waitSeconds: 30, results: [{ token: token! }] });
  expect(answer.results.map(({ status }) => status)).toEqual([ResultStatus.ACCEPTED]);
});

test("what a poll asks reaches the orchestrator, with defaults filled in", async () => {
  await client.poll({ actions: ["a", "b", "a"], workerId: "w-1", heartbeats: true });
  expect(edge.desk.lastPoll).toMatchObject({
    actions: ["a", "b"],
    queues: ["default"],
    maxTasks: 1,
    waitMs: 0,
    workerId: "w-1",
    heartbeats: true,
  });
  edge.desk.add("a", "{}");
  await client.poll({ actions: ["a"], queues: ["gpu"], maxTasks: 7, waitSeconds: 1.5 });
  expect(edge.desk.lastPoll).toMatchObject({ queues: ["gpu"], maxTasks: 7, waitMs: 1_500 });
});

test("an answer closes below 4 MiB: the surplus is released, and comes with the next poll", async () => {
  // 550 kB of text, 1.2 MB as a Struct: the text of all five would fit, three Structs do.
  const parameters = JSON.stringify({ items: Array(110_000).fill(0.25) });
  for (let i = 0; i < 5; i++) edge.desk.add("a", parameters);
  const counts: number[] = [];
  while (counts.length < 10) {
    const answer = await client.poll({ actions: ["a"], maxTasks: 5 });
    if (answer.tasks.length === 0) break;
    expect(toBinary(PollResponseSchema, answer).length).toBeLessThan(4 * 1024 * 1024);
    counts.push(answer.tasks.length);
  }
  expect(counts).toEqual([3, 2]);
  expect(edge.desk.leased.size).toBe(5);
});

test("as JSON bytes the same tasks take less room", async () => {
  const parameters = JSON.stringify({ items: Array(110_000).fill(0.25) });
  for (let i = 0; i < 5; i++) edge.desk.add("a", parameters);
  const payloadFormat = PayloadFormat.JSON;
  const answer = await client.poll({ actions: ["a"], maxTasks: 5, payloadFormat });
  expect(answer.tasks.map(({ parametersJson }) => parametersJson.length)).toEqual(
    Array(5).fill(parameters.length),
  );
});

test("a task that cannot fit even alone fails TOO_LARGE, and does not hold up the others", async () => {
  edge.desk.add("a", JSON.stringify({ items: Array(500_000).fill(1) }));
  edge.desk.add("a", '{"small":1}');
  const answer = await client.poll({ actions: ["a"], maxTasks: 2 });
  expect(answer.tasks.map(({ parameters }) => parameters)).toEqual([{ small: 1 }]);
  expect([...edge.desk.settled.values()]).toMatchObject([
    { ok: false, failure: { code: "TOO_LARGE" }, retryable: false },
  ]);
});

test("parameters that no Struct can hold are delivered as near as it can", async () => {
  edge.desk.add("a", '{"huge":1e999,"list":[-1e999,1],"exact":9007199254740993}');
  const { tasks } = await client.poll({ actions: ["a"] });
  expect(tasks[0]?.parameters).toEqual({
    huge: null,
    list: [null, 1],
    exact: 9007199254740992,
  } as JsonObject);
});

test("heartbeats and releases are answered in order", async () => {
  const [first, second] = await lease(2);
  const beat = await client.heartbeat({
    tasks: [{ token: "k2.x.gone:1:1:1" }, { token: first! }],
  });
  expect(beat.statuses).toEqual([HeartbeatStatus.STALE, HeartbeatStatus.EXTENDED]);
  const release = await client.release({ tokens: [second!, second!] });
  expect(release.statuses).toEqual([ReleaseStatus.RELEASED, ReleaseStatus.STALE]);
  expect((await client.poll({ actions: ["a"] })).tasks[0]?.token).toBe(second!);
});

test("bad progress never costs the lease", async () => {
  const [token] = await lease(1);
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
  expect(edge.desk.saved).toEqual([
    { name: "a" },
    { name: "b", retryCount: 0, jitter: 0.5, nonRetryable: ["X"] },
  ]);
  const error = await client
    .registerActions({ actions: [{ name: "bad-1" }, { name: "c" }, { name: "bad-2" }] })
    .then(() => undefined, ConnectError.from);
  expect(error?.code).toBe(Code.InvalidArgument);
  expect(error?.rawMessage).toContain("/actions/0/retryCount: must not be negative");
  expect(error?.rawMessage).toContain("/actions/2/retryCount: must not be negative");
});
