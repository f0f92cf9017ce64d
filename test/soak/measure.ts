/** What a server process holds, read from outside: memory, handles, threads, its files, its lag. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { Connection } from "./connection.ts";

export interface Sample {
  readonly seconds: number;
  readonly calls: number;
  readonly rssMib: number;
  readonly handles: number;
  readonly sockets: number;
  readonly threads: number;
  readonly storeMib: number;
  /** Mean since the last sample. */
  readonly lagMs: number;
}

const mib = 1024 * 1024;

export class Meter {
  readonly #pid: number;
  readonly #files: readonly string[];
  readonly #connection: Connection;
  #lagSum = 0;
  #lagCount = 0;

  /** `file`: the database; its log is beside it. */
  constructor(pid: number, file: string, connection: Connection) {
    this.#pid = pid;
    this.#files = [file, `${file}-wal`];
    this.#connection = connection;
  }

  async read(): Promise<Omit<Sample, "seconds" | "calls">> {
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    const number = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)![1]);
    const handles = readdirSync(`/proc/${this.#pid}/fd`);
    return {
      rssMib: number("VmRSS") / 1024,
      threads: number("Threads"),
      handles: handles.length,
      sockets: handles.filter((handle) => this.#target(handle).startsWith("socket:")).length,
      storeMib: this.#files.reduce((sum, file) => sum + sizeOf(file), 0) / mib,
      lagMs: await this.#lag(),
    };
  }

  #target(handle: string): string {
    try {
      return readlinkSync(`/proc/${this.#pid}/fd/${handle}`);
    } catch {
      // Closed since it was listed.
      return "";
    }
  }

  async #lag(): Promise<number> {
    const { text } = await this.#connection.text("GET", "/metrics");
    const value = (name: string) =>
      Number(new RegExp(`^orchy_event_loop_lag_seconds_${name} (\\S+)`, "m").exec(text)![1]);
    const [sum, count] = [value("sum"), value("count")];
    const mean = count > this.#lagCount ? (sum - this.#lagSum) / (count - this.#lagCount) : 0;
    [this.#lagSum, this.#lagCount] = [sum, count];
    return mean * 1_000;
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
