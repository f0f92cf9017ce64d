/** Answers larger than a socket takes at once, over both versions of HTTP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ClientHttp2Session, connect } from "node:http2";
import { call, startExecution } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

/** A process of its own: in one with its reader the server has room again before it looks. */
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
  return (await (await fetch(server.url + path)).arrayBuffer()).byteLength;
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
