/** A whole server of the production code on free ports, and what tests do to it from outside. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { Worker } from "../../src/worker/index.ts";

export interface TestServer extends RunningServer {
  readonly url: string;
  /** Stops it and starts another on the same store. */
  restart(): Promise<TestServer>;
  /** Stops it and removes what it stored. */
  remove(): Promise<void>;
}

export interface Reachable {
  readonly url: string;
  /** What it takes to call it over TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string } | undefined;
}

export interface Answer {
  readonly status: number;
  // Tests look into answers freely; what is missing fails the expectation.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  readonly body: any;
}

export async function startTestServer(
  options: {
    store?: string;
    flags?: readonly string[];
    folder?: string;
    parts?: ServerOptions;
  } = {},
): Promise<TestServer> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "orchy-test-"));
  const store = options.store ?? `sqlite:${folder}/orchy.db`;
  const parsed = parseConfig(
    ["--http-port", "0", "--grpc-port", "0", "--store", store, ...(options.flags ?? [])],
    { ORCHY_LOG_LEVEL: "error" },
  );
  if (!("ok" in parsed) || !parsed.ok) throw new Error(JSON.stringify(parsed));
  const server = await startServer(parsed.config, options.parts);
  return {
    ...server,
    url: `http://127.0.0.1:${server.httpPort}`,
    async restart() {
      await server.stop();
      return startTestServer({ ...options, folder });
    },
    async remove() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function call(
  server: Reachable,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(server.url + path, {
    ...(server.tls && { tls: server.tls }),
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

export async function saveWorkflow(server: Reachable, definition: unknown): Promise<void> {
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  if (status >= 300) throw new Error(JSON.stringify(body));
}

export async function startExecution(
  server: { readonly url: string },
  workflow: string,
  input: unknown = {},
  more: object = {},
): Promise<string> {
  const { status, body } = await call(server, "POST", "/v1/executions", {
    workflow,
    input,
    ...more,
  });
  if (status >= 300) throw new Error(JSON.stringify(body));
  return body.id;
}

/** The execution once it has ended. */
export async function untilEnded(server: Reachable, id: string): Promise<Answer["body"]> {
  for (let waits = 0; ; waits++) {
    const { body } = await call(server, "GET", `/v1/executions/${id}/result?wait=60`);
    if (body.status !== "RUNNING" && body.status !== "PAUSED") break;
    if (waits === 2) throw new Error(`${id} goes on`);
  }
  return (await call(server, "GET", `/v1/executions/${id}`)).body;
}

/** Follows the live changes until one fits. */
export async function untilEvent(
  server: TestServer,
  id: string,
  fits: (entry: { kind: string; action?: string }) => boolean,
): Promise<void> {
  const response = await fetch(`${server.url}/v1/executions/${id}/events`);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:") && fits(JSON.parse(line.slice(5)))) return;
    }
  }
  throw new Error("the execution ended before");
}

export function createWorker(server: Reachable, options: object = {}): Worker {
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  return new Worker({ server: server.url, logger: quiet, ...options });
}
