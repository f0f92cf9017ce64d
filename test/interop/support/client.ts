/** Clients of the worker service in other languages, each behind the same few lines of JSON. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";

export interface CallOptions {
  readonly timeoutMs?: number;
  /** Compresses the request. */
  readonly gzip?: boolean;
}

/** What came of a call, and how long it took as its client saw it. */
export interface Called {
  readonly ms: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  readonly response?: any;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Files: the certificate to trust, and perhaps the client's own with its key. */
export interface Trust {
  readonly authority: string;
  readonly own?: readonly [certificate: string, key: string];
}

export interface Client {
  call(method: string, request: object, options?: CallOptions): Promise<Called>;
  close(): Promise<void>;
}

/** Languages write the names of codes in their own ways. */
function withPlainCode(called: Called): Called {
  if (called.error === undefined) return called;
  const code = called.error.code.toLowerCase().replaceAll("_", "");
  return { ...called, error: { ...called.error, code } };
}

/** A process that makes the calls written to its standard input. */
export function openBridge(command: readonly string[], env: Record<string, string> = {}): Client {
  const [program, ...args] = command;
  const child = spawn(program!, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = new Map<number, (called: Called) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, ...called } = JSON.parse(line) as Called & { id: number };
    waiting.get(id)?.(withPlainCode(called));
    waiting.delete(id);
  });
  const gone = exitOf(child).then((how) => {
    for (const answer of waiting.values()) {
      answer({ ms: 0, error: { code: "bridgegone", message: how } });
    }
  });
  let lastId = 0;
  return {
    call(method, request, options = {}) {
      lastId += 1;
      const id = lastId;
      child.stdin.write(`${JSON.stringify({ id, method, request, ...options })}\n`);
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    async close() {
      child.stdin.end();
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function exitOf(child: ChildProcess): Promise<string> {
  const [code, signal] = await once(child, "exit");
  return `the client's process ended with ${code ?? signal}`;
}

/** One curl a call. */
export function openCurl(address: string, trusted?: Trust): Client {
  const scheme = trusted === undefined ? "http" : "https";
  const [certificate, key] = trusted?.own ?? [];
  const own = certificate && key ? ["--cert", certificate, "--key", key] : [];
  const trust = trusted === undefined ? [] : ["--cacert", trusted.authority, ...own];
  return {
    async call(method, request, { timeoutMs, gzip } = {}) {
      const url = `${scheme}://${address}/orchy.v1.WorkerService/${method}`;
      const headers = ["content-type: application/json"];
      if (gzip) headers.push("content-encoding: gzip");
      if (timeoutMs !== undefined) headers.push(`connect-timeout-ms: ${timeoutMs}`);
      const text = JSON.stringify(request);
      const startedMs = performance.now();
      const flags = headers.flatMap((header) => ["-H", header]);
      const write = ["-w", "\n%{http_code}", "--data-binary", "@-"];
      const child = Bun.spawn(["curl", "-sS", ...trust, url, ...flags, ...write], {
        stdin: gzip ? gzipSync(text) : new TextEncoder().encode(text),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      const ms = performance.now() - startedMs;
      if ((await child.exited) !== 0)
        return { ms, error: { code: "unavailable", message: errors } };
      const end = output.lastIndexOf("\n");
      const answer = JSON.parse(output.slice(0, end));
      return output.slice(end + 1) === "200"
        ? { ms, response: answer }
        : withPlainCode({ ms, error: answer });
    },
    async close() {},
  };
}
