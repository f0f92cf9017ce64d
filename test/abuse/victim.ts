/** The server that is attacked, its attacker, and what can be seen of both from outside. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Subprocess } from "bun";
import { ended, saveSingle, start } from "../interop/support/desk.ts";
import { ServerProcess } from "../interop/support/server-process.ts";
import { call } from "../support/orchy.ts";
import type { Target } from "./attack.ts";
import { createWorkerClient } from "./honest.ts";

export const mebibyte = 1024 * 1024;
const largeResult = "x".repeat(3_000_000);

export class Victim {
  readonly server: ServerProcess;
  /** Of an execution with a large result. */
  executionId = "";

  private constructor(server: ServerProcess) {
    this.server = server;
  }

  static async start(): Promise<Victim> {
    const victim = new Victim(await ServerProcess.start());
    try {
      await saveSingle(victim.server, "honest");
      victim.executionId = await victim.#finish(largeResult);
      return victim;
    } catch (error) {
      await victim.remove();
      throw error;
    }
  }

  /** A workflow from its start to its end, with a worker; answers its execution. */
  async #finish(output: string): Promise<string> {
    const id = await start(this.server, "honest");
    const client = createWorkerClient({ kind: "grpc", port: this.server.grpcPort });
    const { tasks } = await client.poll({ actions: ["honest"], waitSeconds: 20 });
    const { token } = tasks[0]!;
    const outputJson = Buffer.from(JSON.stringify(output));
    await client.complete({
      results: [{ token, outputJson }],
    });
    const { status, result } = await ended(this.server, id);
    if (status !== "COMPLETED" || result !== output) throw new Error(`${id} is ${status}`);
    return id;
  }

  async works(): Promise<boolean> {
    await this.#finish("done");
    const { status } = await call(this.server, "GET", "/health/ready");
    return status === 200;
  }

  get memoryBytes(): number {
    return this.#status("VmRSS");
  }

  /** The most memory that it had since `forgetPeak`. */
  get peakBytes(): number {
    return this.#status("VmHWM");
  }

  forgetPeak(): void {
    writeFileSync(`/proc/${this.server.pid}/clear_refs`, "5");
  }

  #status(field: string): number {
    const status = readFileSync(`/proc/${this.server.pid}/status`, "utf8");
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
  }

  get handles(): number {
    return readdirSync(`/proc/${this.server.pid}/fd`).length;
  }

  remove(): Promise<void> {
    return this.server.remove();
  }
}

/** Niced, as it would otherwise take the processor from the server that it attacks. */
export class Attacker {
  readonly #child: Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor(target: Target) {
    const program = `${import.meta.dir}/attacker.ts`;
    const command = ["nice", "-n", "10", process.execPath, program, JSON.stringify(target)];
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    const { stdout } = this.#child;
    this.#lines = (async function* () {
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of stdout) {
        const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
        text = lines.pop()!;
        yield* lines;
      }
    })();
  }

  /** Resolves when it is done; throws what went wrong on its side. */
  async run(name: string): Promise<void> {
    this.#child.stdin.write(`${name}\n`);
    this.#child.stdin.flush();
    const { value } = await this.#lines.next();
    const { error } = JSON.parse(value ?? '{"error":"the attacker ended"}');
    if (error !== "") throw new Error(`${name}: ${error}`);
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
