/** Faults of the disk below an embedded store: it is full, while the server runs or when it starts. */
import type { SmallDisk } from "../support/small-disk.ts";
import type { Client } from "./client.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import type { Program } from "./processes.ts";

const fullMs = 3_000;
/** A start on a full disk, as on any other. */
const startMsMax = 30_000;

export class DiskFaults {
  readonly #disk: SmallDisk;
  readonly #server: Program;
  readonly #client: Client;
  readonly #ledger: Ledger;

  constructor(options: { disk: SmallDisk; server: Program; client: Client; ledger: Ledger }) {
    this.#disk = options.disk;
    this.#server = options.server;
    this.#client = options.client;
    this.#ledger = options.ledger;
  }

  get all(): readonly Fault[] {
    return [
      { name: "disk: full", weight: 2, strike: () => this.#whileFull(async () => {}) },
      {
        name: "disk: full, server killed and started on it",
        weight: 2,
        strike: () =>
          this.#whileFull(async () => {
            await this.#server.kill();
            await this.#startOnFull();
          }),
      },
      {
        name: "disk: full, server stopped and started on it",
        weight: 1,
        strike: () =>
          this.#whileFull(async () => {
            await this.#server.terminate(startMsMax);
            await this.#startOnFull();
          }),
      },
    ];
  }

  async #whileFull(work: () => Promise<void>): Promise<Healed> {
    this.#disk.fill();
    try {
      await this.#expectRefusal();
      await work();
      // What the log had or the server has let go of in the meantime is taken as well.
      this.#disk.fill();
      await this.#expectRefusal();
      await Bun.sleep(fullMs);
    } finally {
      this.#disk.empty();
    }
    return { atMs: performance.now() };
  }

  async #startOnFull(): Promise<void> {
    this.#disk.fill();
    await this.#server.start().catch((error: Error) => {
      this.#ledger.violate(`a server cannot be started on a full disk: ${error.message}`);
    });
  }

  async #expectRefusal(): Promise<void> {
    const body = { workflow: "chaos-probe", input: { n: 0, route: "a" } };
    const call = { method: "POST", path: "/v1/executions", body };
    const giveUpAt = performance.now() + startMsMax;
    for (;;) {
      const answer = await this.#client.call(this.#client.anyUrl(), call).catch(() => undefined);
      const code = answer?.body?.error?.code;
      if (answer?.status === 503 && code === "RESOURCE_EXHAUSTED") return;
      if (performance.now() > giveUpAt) {
        this.#ledger.violate(`a start on a full disk was answered ${JSON.stringify(answer)}`);
        return;
      }
      await Bun.sleep(100);
    }
  }
}
