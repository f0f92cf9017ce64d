/** Answers larger than a socket takes at once, over both versions of HTTP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { limits } from "../../src/base/limits.ts";
import { call, startExecution } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { complete, done, pollOne } from "./calls.ts";

/** A separate process: in one with its reader the server has room again before it looks. */
let server: ServerProcess;
let session: ClientHttp2Session;

beforeAll(async () => {
  server = await startProcess("memory:");
  // Room for a whole answer: Bun's client never makes more for a stream.
  session = connect(server.url, { settings: { initialWindowSize: 8 * 2 ** 20 } });
  session.on("connect", () => session.setLocalWindowSize(16 * 2 ** 20));
});

afterAll(async () => {
  session.destroy();
  server.child.kill();
  await server.child.exited;
});

async function overHttp1(path: string): Promise<number> {
  let bytes = 0;
  for await (const piece of (await fetch(server.url + path)).body!) bytes += piece.byteLength;
  return bytes;
}

function overHttp2(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": path });
    let bytes = 0;
    stream.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    stream.on("error", reject);
    stream.on("close", () => resolve(bytes));
  });
}

async function timed(read: () => Promise<number>): Promise<{ bytes: number; ms: number }> {
  const begun = performance.now();
  return { bytes: await read(), ms: performance.now() - begun };
}

test("a large answer takes about as long over HTTP/2 as over HTTP/1.1", async () => {
  const waits = { id: 1, type: "system", name: "wait", event: "go" };
  await call(server, "POST", "/v1/workflows", { name: "large", rootAction: 1, actions: [waits] });
  const text = "x".repeat(2 * 2 ** 20);
  // The input is shown by itself and as part of the data: 4 MiB.
  const path = `/v1/executions/${await startExecution(server, "large", { text })}`;
  const ratios: number[] = [];
  for (let round = 0; round < 7; round++) {
    const first = await timed(() => overHttp1(path));
    const second = await timed(() => overHttp2(path));
    expect(second.bytes).toBe(first.bytes);
    ratios.push(second.ms / first.ms);
  }
  ratios.sort((a, b) => a - b);
  expect(ratios[3]!).toBeLessThan(3);
});

test("the events of a long history all come, over both", async () => {
  const ids = Array.from({ length: 40 }, (_, index) => index + 1);
  const actions = ids.map((id) => ({ id, type: "user", name: "fails", optional: true }));
  await call(server, "POST", "/v1/workflows", { name: "failing", rootAction: ids, actions });
  const id = await startExecution(server, "failing");
  const failure = { code: "X", message: "m", retryable: false, details: "x".repeat(60_000) };
  for (const _ of ids) {
    const { token } = await pollOne(server, "fails");
    expect(await complete(server, { token, failure })).toEqual(["ACCEPTED"]);
  }
  const bytes = await overHttp1(`/v1/executions/${id}/events`);
  expect(bytes).toBeGreaterThan(2 * limits.eventStreamBytesMax);
  expect(await overHttp2(`/v1/executions/${id}/events`)).toBe(bytes);
});

const megabytes = 2 ** 20;

/** The most memory that the server has had, in bytes. */
function peakBytes(): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
}

test("an execution larger than all answers may hold is read whole, by many at once", async () => {
  const ids = Array.from({ length: 26 }, (_, index) => index + 1);
  const actions = ids.map((id) => ({ id, type: "user", name: "large-output" }));
  await call(server, "POST", "/v1/workflows", { name: "huge", rootAction: ids, actions });
  const id = await startExecution(server, "huge");
  const output = "x".repeat(3_000_000);
  for (const _ of ids) await complete(server, done(await pollOne(server, "large-output"), output));

  const path = `/v1/executions/${id}`;
  const { status, body } = await call(server, "GET", path);
  expect([status, body.status, body.actions.length]).toEqual([200, "COMPLETED", ids.length]);
  const legacy = await call(server, "GET", `/execution/huge/${id}`);
  const ended = await call(server, "GET", `${path}/result?wait=1`);
  for (const { id, output: shown } of body.actions) {
    const shows = [shown, body.data[id].output, body.result[id], ended.body.result[id]];
    expect([...shows, legacy.body.data[id].output].every((one) => one === output)).toBe(true);
  }

  const before = peakBytes();
  const expected = await overHttp1(path);
  expect(expected).toBeGreaterThan(3 * ids.length * 3_000_000);
  const read = await Promise.all(Array.from({ length: 8 }, () => overHttp1(path)));
  expect(new Set(read)).toEqual(new Set([expected]));
  // All of them whole would be 1.9 GB; each holds a few outputs, and the collector is not prompt.
  expect(peakBytes() - before).toBeLessThan(900 * megabytes);

  // What is removed while it is read is cut off: no reader takes the part for the whole.
  const reader = (await fetch(server.url + path)).body!.getReader();
  await reader.read();
  expect((await call(server, "DELETE", path)).status).toBe(204);
  const readRest = async () => {
    while (!(await reader.read()).done);
  };
  await expect(readRest()).rejects.toThrow();
  expect((await call(server, "GET", "/health/live")).status).toBe(200);
}, 120_000);
