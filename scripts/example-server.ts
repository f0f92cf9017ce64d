/** What `npm start` and `npm run demo` share: a server with both example workflows and their worker. */
import { join } from "node:path";
import { type Config, parseConfig } from "../src/config/config.ts";
import { type RunningServer, startServer } from "../src/server/server.ts";

const root = join(import.meta.dirname, "..");
export const exampleNames = ["seed", "order"] as const;

/** The worker drains first, for which it needs the server. */
const workerEndsWithinMs = 15_000;

/** Ends the process with the reason when a flag or a variable is wrong, and after `--help` and `--version`. */
export function readConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Config {
  const parsed = parseConfig(argv, env);
  if ("print" in parsed) {
    console.log(parsed.print);
    process.exit(0);
  }
  if (parsed.ok) return parsed.config;
  console.error(parsed.problems.join("\n"));
  process.exit(2);
}

/** Ends the process with one sentence when the server cannot start. */
export async function startOrExplain(config: Config): Promise<RunningServer> {
  try {
    return await startServer(config);
  } catch (error) {
    console.error(`Orchy cannot start: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}

/** Where this machine reaches the server: one that listens everywhere is not called 0.0.0.0. */
export function addressOf(config: Config, port: number): string {
  const scheme = config.tls ? "https" : "http";
  if (config.host === "0.0.0.0") return `${scheme}://127.0.0.1:${port}`;
  if (config.host === "::") return `${scheme}://[::1]:${port}`;
  return `${scheme}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
}

/** Posts JSON and answers the JSON; throws with the server's own words. */
export async function post(url: string, body: string): Promise<Record<string, unknown>> {
  const key = process.env.ORCHY_KEY;
  const headers = {
    "content-type": "application/json",
    ...(key && { authorization: `Bearer ${key}` }),
  };
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

export async function saveExamples(url: string): Promise<void> {
  for (const name of exampleNames) {
    await post(`${url}/v1/workflows`, await Bun.file(`${root}/examples/${name}.json`).text());
  }
}

export interface ExampleWorker {
  readonly exited: Promise<number>;
  /** `signalled`: it has had the signal already, as a terminal sends it to all. */
  stop(signalled?: boolean): Promise<void>;
}

/** `onLine` gets what the worker prints, instead of the terminal. */
export function startExampleWorker(url: string, onLine?: (line: string) => void): ExampleWorker {
  const endsToo = `--preload=${join(root, "scripts", "end-with-parent.ts")}`;
  const program = join(root, "examples", "worker.ts");
  const child = Bun.spawn([process.execPath, endsToo, program, url], {
    stdin: "ignore",
    stdout: onLine === undefined ? "inherit" : "pipe",
    stderr: "inherit",
  });
  if (onLine !== undefined) void readLines(child.stdout as ReadableStream<Uint8Array>, onLine);
  return {
    exited: child.exited,
    async stop(signalled = false) {
      if (!signalled) child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), workerEndsWithinMs);
      await child.exited;
      clearTimeout(late);
    },
  };
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}
