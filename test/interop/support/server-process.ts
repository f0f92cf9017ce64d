/** A server in a process of its own, that can be killed and comes back on the same ports and file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { startProcess } from "../../support/process.ts";

export class ServerProcess {
  readonly folder = mkdtempSync(join(tmpdir(), "orchy-interop-"));
  readonly httpPort = freePort();
  readonly grpcPort = freePort();
  readonly url = `http://127.0.0.1:${this.httpPort}`;
  #process: Subprocess | undefined;

  readonly #store: string;

  /** `store`: one that servers share; absent: a file of its own. */
  constructor(store?: string) {
    this.#store = store ?? `sqlite:${this.folder}/orchy.db`;
  }

  static async start(store?: string): Promise<ServerProcess> {
    const server = new ServerProcess(store);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const ports = { http: this.httpPort, grpc: this.grpcPort };
    this.#process = (await startProcess(this.#store, ports)).child;
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }

  /** True while the process has neither ended nor been ended. */
  get alive(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async remove(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
