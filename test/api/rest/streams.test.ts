/** What takes time: event streams, waits, slow bodies, and a server that stops. */
import { afterEach, expect, test } from "bun:test";
import http2 from "node:http2";
import net from "node:net";
import { limits } from "../../../src/base/limits.ts";
import { call, fastClock, send, startTestServer, type TestServer } from "./support.ts";
import { echo, waiting } from "./workflows.ts";

let server: TestServer;
afterEach(() => server.stop());

async function startWaiting(): Promise<string> {
  await call(server, "POST", "/v1/workflows", waiting);
  return (await call(server, "POST", "/v1/executions", { workflow: "waiting" })).json.id;
}

/** Reads an event stream block by block. */
async function* blocks(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 2);
    }
  }
}

const dataOf = (block: string) => JSON.parse(block.split("data: ")[1]!);

test("events tell what was, what happens, and the end", async () => {
  server = await startTestServer();
  const id = await startWaiting();
  const response = await fetch(`${server.url}/v1/executions/${id}/events`);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const seen: string[] = [];
  let signalled = false;
  for await (const block of blocks(response)) {
    seen.push(block);
    if (signalled || !block.includes("event: entry")) continue;
    signalled = true;
    await call(server, "POST", `/v1/executions/${id}/signal`, { event: "go" });
  }
  const entries = seen.filter((one) => one.includes("event: entry")).map(dataOf);
  const history = await call(server, "GET", `/v1/executions/${id}/history`);
  expect(entries).toEqual(history.json.items);
  expect(seen.at(-1)).toContain("event: end");
  expect(dataOf(seen.at(-1)!)).toEqual({ id, status: "COMPLETED" });
});

test("a caller that comes back hears what it has not heard yet, and nothing twice", async () => {
  server = await startTestServer();
  const id = await startWaiting();
  const path = `/v1/executions/${id}/events`;
  const first = blocks(await fetch(server.url + path));
  const sequences: number[] = [];
  for (let block = await first.next(); !block.done; block = await first.next()) {
    if (!block.value.includes("event: entry")) continue;
    expect(block.value).toContain(`id: ${dataOf(block.value).sequence}\n`);
    sequences.push(dataOf(block.value).sequence);
    if (sequences.length === 2) break;
  }
  await first.return(undefined);
  const back = blocks(
    await fetch(`${server.url}${path}?after=1`, {
      headers: { "last-event-id": String(sequences.at(-1)) },
    }),
  );
  // Only when the stream is open is the execution moved on: what comes live must follow, too.
  await back.next();
  await call(server, "POST", `/v1/executions/${id}/signal`, { event: "go" });
  for await (const block of back) {
    if (block.includes("event: entry")) sequences.push(dataOf(block).sequence);
  }
  const { items } = (await call(server, "GET", `/v1/executions/${id}/history`)).json;
  const all = items.map(({ sequence }: { sequence: number }) => sequence);
  expect(sequences).toEqual(all);

  const rest = await (await fetch(`${server.url}${path}?after=${all.at(-2)}`)).text();
  expect(rest.match(/^id: \d+$/gm)).toEqual([`id: ${all.at(-1)}`]);
  const nothing = await (await fetch(`${server.url}${path}?after=${all.at(-1)}`)).text();
  expect(nothing).not.toContain("event: entry");
  expect(nothing).toContain("event: end");
});

test("a place that is none is refused", async () => {
  server = await startTestServer();
  const id = await startWaiting();
  const path = `/v1/executions/${id}/events`;
  expect((await call(server, "GET", `${path}?after=-1`)).status).toBe(400);
  const headers = { "last-event-id": "soon" };
  expect((await call(server, "GET", path, undefined, headers)).status).toBe(400);
});

test("events of an ended execution are told, and the stream ends; HEAD opens none", async () => {
  server = await startTestServer();
  await call(server, "POST", "/v1/workflows", echo);
  const { id } = (await call(server, "POST", "/v1/executions?wait=5", { workflow: "echo" })).json;
  const response = await fetch(`${server.url}/v1/executions/${id}/events`);
  const text = await response.text();
  expect(text).toContain("event: entry");
  expect(text.trimEnd()).toEndWith(`"status":"COMPLETED"}`);
  const head = await call(server, "HEAD", `/v1/executions/${id}/events`);
  expect([head.status, head.text]).toEqual([200, ""]);
  expect((await call(server, "GET", "/v1/executions/absent/events")).status).toBe(404);
});

test("a silent stream shows that it lives, and a caller may leave", async () => {
  server = await startTestServer({ edgeClock: fastClock });
  const id = await startWaiting();
  const leave = new AbortController();
  const response = await fetch(`${server.url}/v1/executions/${id}/events`, {
    signal: leave.signal,
  });
  const seen: string[] = [];
  for await (const block of blocks(response)) {
    seen.push(block);
    if (seen.filter((one) => one === ": still here").length === 3) break;
  }
  leave.abort();
  expect(seen).toContain(": still here");
  expect((await call(server, "GET", "/health/live")).status).toBe(200);
});

test.each([
  ["small, which is read in one piece,", "content-length: 10"],
  ["large, which is read as it comes,", "content-length: 1000000"],
  ["of unknown length", "transfer-encoding: chunked"],
])("a body that is %s and does not arrive is given up", async (_kind, header) => {
  server = await startTestServer({ edgeClock: fastClock });
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write(`POST /v1/executions HTTP/1.1\r\nhost: localhost\r\n${header}\r\n\r\n1`);
  let text = "";
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes("}}")) break;
  }
  expect(text).toStartWith("HTTP/1.1 408 ");
  expect(text).toContain("REQUEST_TIMEOUT");
});

test("a server that drains ends waits and streams", async () => {
  server = await startTestServer();
  const id = await startWaiting();
  const events = await fetch(`${server.url}/v1/executions/${id}/events`);
  const reader = blocks(events);
  await reader.next();
  const waits = call(server, "POST", "/v1/executions?wait=60", { workflow: "waiting" });
  await countExecutions(2);

  const drained = server.drain();
  expect((await waits).status).toBe(202);
  for await (const block of reader) expect(block).not.toContain("event: end");
  await drained;
  expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
});

/** Resolves when this many executions have been started. */
async function countExecutions(count: number): Promise<void> {
  for (;;) {
    const { items } = await server.orchestrator.listExecutions({ limit: 10 });
    if (items.length >= count) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a server that drains lets a poll end, and sends clients of HTTP/2 elsewhere", async () => {
  server = await startTestServer();
  const session = http2.connect(server.url);
  const sentAway = new Promise((resolve) => session.once("goaway", resolve));
  const headers = {
    ":method": "POST",
    ":path": "/orchy.v1.WorkerService/Poll",
    "content-type": "application/json",
  };
  const poll = { actions: ["nothing"], maxTasks: 1, waitSeconds: 30, workerId: "w" };
  const polled = send(session, headers, poll);
  while (server.orchestrator.workers().workers.length === 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const drained = server.drain();
  await sentAway;
  server.orchestrator.drain();
  expect(await polled).toMatchObject({ status: 200, text: expect.stringContaining("draining") });
  await drained;
  session.destroy();
});

test("a key has a bounded number of event streams, and may open others when some have ended", async () => {
  server = await startTestServer();
  const id = await startWaiting();
  const sessions = Array.from({ length: 5 }, () => http2.connect(server.url));
  const open = (session: http2.ClientHttp2Session) => {
    const stream = session.request({ ":path": `/v1/executions/${id}/events` });
    stream.on("error", () => {}).resume();
    const { promise, resolve } = Promise.withResolvers<number>();
    stream.once("response", (headers) => resolve(Number(headers[":status"])));
    return promise;
  };
  const last = sessions.pop()!;
  const perSession = limits.eventStreamsPerKeyMax / sessions.length;
  const statuses = await Promise.all(
    sessions.flatMap((session) => Array.from({ length: perSession }, () => open(session))),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await open(last)).toBe(429);
  sessions.pop()!.destroy();
  let status: number;
  do status = await open(last);
  while (status === 429);
  expect(status).toBe(200);
  for (const session of [...sessions, last]) session.destroy();
});
