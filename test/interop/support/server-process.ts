/** A server in a separate process, that can be killed and comes back on the same ports and file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { Reachable } from "../../support/orchy.ts";
import { freePort } from "../../support/ports.ts";
import { startProcess } from "../../support/process.ts";

/** A server with TLS: how it is started, and how it is called. */
export interface Secure {
  readonly flags?: readonly string[];
  readonly tls?: Reachable["tls"];
}

export class ServerProcess {
  readonly folder = mkdtempSync(join(tmpdir(), "orchy-interop-"));
  readonly httpPort = freePort();
  readonly grpcPort = freePort();
  readonly url: string;
  readonly tls?: Reachable["tls"];
  #process: Subprocess | undefined;

  readonly #store: string;
  readonly #flags: readonly string[];

  /** `store`: one that servers share; absent: a separate file. */
  constructor(store?: string, secure: Secure = {}) {
    this.#store = store ?? `sqlite:${this.folder}/orchy.db`;
    this.#flags = secure.flags ?? [];
    if (secure.tls) this.tls = secure.tls;
    this.url = `${secure.tls ? "https" : "http"}://127.0.0.1:${this.httpPort}`;
  }

  static async start(store?: string, secure?: Secure): Promise<ServerProcess> {
    const server = new ServerProcess(store, secure);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const ports = { http: this.httpPort, grpc: this.grpcPort };
    this.#process = (await startProcess(this.#store, ports, this.#flags)).child;
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
