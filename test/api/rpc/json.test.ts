/** The worker services in JSON, whoever reads it: Connect, gRPC-Web and gRPC. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import fc from "fast-check";
import { noteNumbers, writeNotedNumbers } from "../../../src/api/rpc/json-notes.ts";
import { limits } from "../../../src/base/limits.ts";
import { canonicalNumber } from "../../../src/model/numbers.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call } from "./http.ts";

let edge: Edge;
beforeEach(async () => {
  edge = await startEdge();
});
afterEach(() => edge.stop());

interface Said {
  /** Empty: the call was answered. */
  readonly error: string;
  readonly text: string;
}

type Ask = (method: string, body: string) => Promise<Said>;

const connectJson: Ask = async (method, body) => {
  const response = await fetch(`${edge.url}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const text = await response.text();
  return response.ok ? { error: "", text } : { error: JSON.parse(text).message, text: "" };
};

function frame(body: string): Buffer {
  const message = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function unframe(bytes: Buffer): string {
  return bytes.length === 0 ? "" : bytes.subarray(5, 5 + bytes.readUInt32BE(1)).toString();
}

const grpcJson: Ask = (method, body) =>
  new Promise((resolve, reject) => {
    const session = connect(edge.grpcUrl);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${method}`,
      "content-type": "application/grpc+json",
      te: "trailers",
    });
    const received: Buffer[] = [];
    let error = "";
    const note = (headers: NodeJS.Dict<string | string[]>) => {
      error = decodeURIComponent(`${headers["grpc-message"] ?? ""}`);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (bytes) => received.push(Buffer.from(bytes)));
    stream.on("error", reject);
    stream.on("close", () => {
      session.close();
      resolve({ error, text: error === "" ? unframe(Buffer.concat(received)) : "" });
    });
    stream.end(frame(body));
  });

const grpcWebJson: Ask = async (method, body) => {
  const response = await fetch(`${edge.url}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+json" },
    body: new Uint8Array(frame(body)),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const trailer = /grpc-message: (.*)\r\n/.exec(bytes.toString())?.[1];
  const error = decodeURIComponent(trailer ?? response.headers.get("grpc-message") ?? "");
  return { error, text: error === "" ? unframe(bytes) : "" };
};

const worker = "orchy.v1.WorkerService";
const big = "9007199254740993";

describe.each([
  ["Connect", connectJson],
  ["gRPC", grpcJson],
  ["gRPC-Web", grpcWebJson],
] as const)("%s", (_name, ask) => {
  async function lease(parameters = "{}"): Promise<{ id: string; token: string; text: string }> {
    const id = await edge.add("a", parameters);
    const { text } = await ask(`${worker}/Poll`, '{"actions":["a"]}');
    return { id, token: JSON.parse(text).tasks[0].token, text };
  }

  test("a misspelt result is INVALID with a pointer; the others are settled", async () => {
    const [failed, empty, deep, mistyped, nothing, good] = [
      await lease(),
      await lease(),
      await lease(),
      await lease(),
      await lease(),
      await lease(),
    ];
    const results = [
      { token: failed.token, error: { code: "CARD_DECLINED" } },
      { token: empty.token },
      { token: deep.token, failure: { code: "X", retriable: false } },
      { token: mistyped.token, failure: { code: 5 } },
      { token: nothing.token, output: null },
      { token: good.token, output: 1 },
    ];
    const { text } = await ask(`${worker}/Complete`, JSON.stringify({ results }));
    expect(JSON.parse(text).results).toEqual([
      {
        status: "RESULT_STATUS_INVALID",
        message:
          "/results/0/error: Unknown member; " + "known: token, output, outputJson, failure.",
      },
      {
        status: "RESULT_STATUS_INVALID",
        message:
          "/results/1: It has no output, outputJson or failure; " +
          'the output null is "output": null.',
      },
      {
        status: "RESULT_STATUS_INVALID",
        message: '/results/2/failure/retriable: Unknown member; did you mean "retryable"?',
      },
      {
        status: "RESULT_STATUS_INVALID",
        message: "/results/3/failure/code: expected string, got 5",
      },
      { status: "RESULT_STATUS_ACCEPTED" },
      { status: "RESULT_STATUS_ACCEPTED" },
    ]);
    for (const { id } of [failed, empty, deep, mistyped]) {
      expect((await edge.actionOf(id)).status).toBe("RUNNING");
    }
    expect(await edge.outputOf(nothing.id)).toBe("null");
    expect(await edge.outputOf(good.id)).toBe("1");
  });

  test("elsewhere an unknown member refuses the call before anything is settled", async () => {
    const { id, token } = await lease();
    const results = [{ token, output: 1 }];
    const near = 'Unknown member; did you mean "';
    const cases: [string, object, string][] = [
      [`${worker}/Complete`, { results, workerID: "w" }, `/workerID: ${near}workerId"?`],
      [`${worker}/Poll`, { results, actoins: ["a"] }, `/actoins: ${near}actions"?`],
      [`${worker}/Poll`, { results, actions: ["a"], payloadFormat: "JSON" }, "/payloadFormat: "],
      [
        `${worker}/Heartbeat`,
        { tasks: [{ token, progres: 1 }] },
        `/tasks/0/progres: ${near}progress"?`,
      ],
      [`${worker}/Release`, { token: [token] }, `/token: ${near}tokens"?`],
      [
        `${worker}/RegisterActions`,
        { actions: [{ name: "a", retries: 1 }] },
        "/actions/0/retries: Unknown member",
      ],
      ["TaskService/Push", { flowId: id, state: "FAIL" }, "/state: Unknown member"],
      ["TaskService/Push", { flowId: id, status: "FAILED" }, "/status: "],
    ];
    for (const [method, body, message] of cases) {
      expect((await ask(method, JSON.stringify(body))).error).toContain(`\n${message}`);
    }
    expect((await edge.actionOf(id)).status).toBe("RUNNING");
  });

  test("integers are exact on their way to a worker and back", async () => {
    const numbers = `[${big},-${big},"${big}",123456789012345678901234567890,0.5,1e3,-0]`;
    const parameters = `{"id":${big},"list":${numbers}}`;
    const { id, token, text } = await lease(parameters);
    expect(text).toContain(`"id":${big}`);
    expect(text).toContain(`[${big},-${big},"${big}",123456789012345678901234567890,0.5,`);
    const output = `{"id":${big},"text":"${big}","in":["\\"${big}",${big}]}`;
    await ask(`${worker}/Complete`, `{"results":[{"token":"${token}","output":${output}}]}`);
    expect(await edge.outputOf(id)).toBe(output);
  });

  test("a number where a text is asked for is refused, however large it is", async () => {
    const { error } = await ask(`${worker}/Poll`, `{"actions":["a"],"workerId":${big}}`);
    expect(error).toMatch(/\/workerId: .*expected string, got 900719925474099[0-9]$/);
    const { token } = await lease();
    const body = `{"results":[{"token":"${token}","output":[1e999]}]}`;
    const { text } = await ask(`${worker}/Complete`, body);
    expect(JSON.parse(text).results[0].message).toBe("output: has a number beyond 1.8e308");
  });
});

test("the legacy services in JSON carry integers exactly, too", async () => {
  const id = await edge.add("a", `{"id":${big}}`);
  const polled = await connectJson("TaskService/Poll", '{"taskType":"a"}');
  expect(polled.text).toContain(`"id":${big}`);
  const [task] = JSON.parse(polled.text).tasks;
  const { flowId, actionId, retryCount, workflowName } = task;
  const result = { flowId, actionId, retryCount, workflowName, status: "SUCCESS" };
  const body = `${JSON.stringify(result).slice(0, -1)},"data":{"id":${big}}}`;
  expect(JSON.parse((await connectJson("TaskService/Push", body)).text)).toEqual({ status: true });
  expect(await edge.outputOf(id)).toBe(`{"id":${big}}`);
});

test("a JSON worker gets what would be too large as protobuf", async () => {
  const parameters = JSON.stringify({ items: Array(500_000).fill(1) });
  await edge.add("a", parameters);
  const { json } = await call(`${edge.url}/${worker}/Poll`, '{"actions":["a"]}');
  expect(json.tasks[0].parameters.items).toHaveLength(500_000);
});

test("a JSON worker gets the largest payload as bytes, which take a third more in base64", async () => {
  const parameters = JSON.stringify({ text: "x".repeat(limits.payloadBytesMax - 100) });
  await edge.add("a", parameters);
  const format = '"payloadFormat":"PAYLOAD_FORMAT_JSON"';
  const { json } = await call(`${edge.url}/${worker}/Poll`, `{"actions":["a"],${format}}`);
  expect(Buffer.from(json.tasks[0].parametersJson, "base64").toString() === parameters).toBe(true);
});

test("notes change nothing but numbers that a double rounds, and are written back", () => {
  const digits = fc.bigInt({ min: 0n, max: 10n ** 40n }).map(String);
  const fraction = fc.tuple(fc.bigInt(), digits).map(([whole, part]) => `${whole}.${part}`);
  const value = fc.oneof(
    fc.json(),
    fc.bigInt().map(String),
    fc.bigInt().map((number) => `"\\"${number}"`),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fraction,
    fc.tuple(fraction, fc.integer({ min: -400, max: 400 })).map((parts) => parts.join("e")),
  );
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const text = `[${values.join(", ")}]`;
      const noted = noteNumbers(text);
      expect(writeNotedNumbers(noted)).toBe(text);
      JSON.parse(noted);
      for (const each of values) {
        if (!/^-?\d/.test(each)) continue;
        const isExact = canonicalNumber(each) === canonicalNumber(`${Number(each)}`);
        expect(noteNumbers(`[${each},"${each}"]`) === `[${each},"${each}"]`).toBe(isExact);
      }
    }),
  );
});
