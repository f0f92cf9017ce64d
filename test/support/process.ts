/** A server as a process of its own, for tests that end it without asking it. */
import { join } from "node:path";
import type { Subprocess } from "bun";

export interface ServerProcess {
  readonly child: Subprocess<"ignore", "pipe", "inherit">;
  /** What it has logged so far. */
  readonly output: { text: string };
  readonly port: number;
  readonly url: string;
}

const main = join(import.meta.dir, "../../src/main.ts");

/** Resolves when it listens; a port that is not given is any free one. */
export async function startProcess(
  store: string,
  options: {
    readonly http?: number;
    readonly grpc?: number;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
  more: readonly string[] = [],
): Promise<ServerProcess> {
  const { http = 0, grpc = 0, env = {} } = options;
  const flags = ["--http-port", `${http}`, "--grpc-port", `${grpc}`, "--store", store, ...more];
  const child = Bun.spawn([process.execPath, main, ...flags], {
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
