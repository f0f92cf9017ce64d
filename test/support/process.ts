/** A server as a separate process, for tests that end it without a request. */
import { join } from "node:path";
import type { Subprocess } from "bun";

export interface ServerProcess {
  readonly child: Subprocess<"ignore", "pipe", "inherit">;
  /** What it has logged so far. */
  readonly output: { text: string };
  readonly port: number;
  readonly url: string;
}

const root = join(import.meta.dir, "../..");

/** Resolves when it listens; a port that is not given is any free one. */
export async function startProcess(
  store: string,
  options: {
    readonly http?: number;
    readonly grpc?: number;
    readonly env?: Readonly<Record<string, string>>;
    /** Of another version of the server; absent: this one's. */
    readonly folder?: string;
    /** Modules that are loaded before the server. */
    readonly preload?: readonly string[];
  } = {},
  more: readonly string[] = [],
): Promise<ServerProcess> {
  const { http = 0, grpc = 0, env = {}, folder = root, preload = [] } = options;
  const flags = ["--http-port", `${http}`, "--grpc-port", `${grpc}`, "--store", store, ...more];
  const main = [...preload.map((path) => `--preload=${path}`), join(folder, "src/main.ts")];
  const child = Bun.spawn([process.execPath, ...main, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, ...env },
  });
  const { promise: ready, resolve, reject } = Promise.withResolvers<number>();
  const output = { text: "" };
  const decoder = new TextDecoder();
  void (async () => {
    for await (const chunk of child.stdout) {
      output.text += decoder.decode(chunk, { stream: true });
      const found = /"http":"https?:\/\/127\.0\.0\.1:(\d+)"/.exec(output.text);
      if (found !== null) resolve(Number(found[1]));
    }
    reject(new Error(`the server ended: ${output.text}`));
  })();
  const listening = await ready;
  return { child, output, port: listening, url: `http://127.0.0.1:${listening}` };
}
