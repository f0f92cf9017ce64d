/** Servers and workers as separate processes: killed, stopped, continued and started again. */
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { ShiftedClock } from "../support/shifted-clock.ts";

const root = join(import.meta.dir, "..", "..");
const shownMax = 1_000;

export interface ProgramOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly logFile: string;
  /** Printed to the log when it is ready; absent: it is ready at once. */
  readonly readyLine?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called when it ends unexpectedly; then it is started again. */
  readonly onDeath: (how: string) => void;
}

/** A program that is started again and again under the same name and ports. */
export class Program {
  readonly name: string;
  readonly #options: ProgramOptions;
  #child: Subprocess | undefined;
  #isClosing = false;
  #isWanted = false;
  starts = 0;

  constructor(options: ProgramOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it is ready. Throws when it ends instead. */
  async start(): Promise<void> {
    if (this.#isClosing) return;
    const { command, logFile, readyLine, env } = this.#options;
    this.starts += 1;
    this.#isWanted = true;
    const log = `${logFile}.${this.starts}`;
    const child = Bun.spawn([process.execPath, ...command], {
      cwd: root,
      stdin: "ignore",
      stdout: Bun.file(log),
      stderr: Bun.file(`${log}.err`),
      env: { ...process.env, ...env },
    });
    this.#child = child;
    while (readyLine !== undefined && !(await readText(log)).includes(readyLine)) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${this.name} has ended: ${await lastWords(child, log)}`);
      }
      await Bun.sleep(20);
    }
    void this.#watch(child, log);
  }

  /** A start that fails is reported to its caller; from then on it must live until it is ended. */
  async #watch(child: Subprocess, log: string): Promise<void> {
    await child.exited;
    if (!this.#isWanted || this.#child !== child) return;
    this.#options.onDeath(await lastWords(child, log));
    await this.start().catch((error: Error) => this.#options.onDeath(error.message));
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Returns its exit code; a program that takes longer is killed, and the result undefined. */
  async terminate(withinMs: number): Promise<number | undefined> {
    const child = this.#child;
    const ended = this.#end("SIGTERM");
    const isInTime = await Promise.race([
      ended.then(() => true),
      Bun.sleep(withinMs).then(() => false),
    ]);
    if (!isInTime) await this.#end("SIGKILL");
    return isInTime ? (child?.exitCode ?? undefined) : undefined;
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    child?.kill(signal);
    await child?.exited;
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.thaw();
    await this.kill();
  }
}

async function readText(path: string): Promise<string> {
  return await Bun.file(path)
    .text()
    .catch(() => "");
}

/** What ended it, and what it wrote about that. */
async function lastWords({ exitCode, signalCode }: Subprocess, log: string): Promise<string> {
  const cause = signalCode === null ? `exit code ${exitCode}` : `${signalCode}`;
  const errors = (await readText(`${log}.err`)).slice(0, shownMax);
  return errors === "" ? cause : `${cause}: ${errors}`;
}

export interface Orchy {
  readonly servers: readonly Program[];
  readonly clocks: readonly ShiftedClock[];
  readonly urls: readonly string[];
  readonly workers: readonly Program[];
}

export interface OrchyOptions {
  readonly folder: string;
  /** The address of the store for each server. */
  readonly stores: readonly string[];
  readonly ports: readonly number[];
  readonly workers: number;
  /** Further flags of each server. */
  readonly flags?: readonly (readonly string[])[];
  /** Variables of each server, besides those of this process. */
  readonly environments?: readonly Readonly<Record<string, string>>[];
  /** Of each server; absent: theirs is that of the machine. */
  readonly clocks?: readonly ShiftedClock[];
  readonly violate: (sentence: string) => void;
}

export function makeOrchy(options: OrchyOptions): Orchy {
  const { folder, stores, ports, workers, flags: more, environments, clocks, violate } = options;
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const servers = stores.map((store, i) => {
    // What has ended must be there when it is looked at, however full the store was.
    const flags = ["--http-port", `${ports[i]}`, "--grpc-port", "0", "--keep-retention"];
    return new Program({
      name: `server ${i}`,
      readyLine: "Orchy is listening",
      command: [
        join(root, "src/main.ts"),
        ...flags,
        "--store",
        store,
        "--node-name",
        `server-${i}`,
        ...(more?.[i] ?? []),
      ],
      env: { ...clocks?.[i]?.env, ...environments?.[i] },
      logFile: join(folder, `server-${i}.log`),
      onDeath: (how) => violate(`server ${i} has ended by itself: ${how}`),
    });
  });
  const workerPrograms = Array.from({ length: workers }, (_, i) => {
    // Each begins with another server.
    const order = urls.map((_, j) => urls[(i + j) % urls.length] as string);
    const runs = join(folder, `runs-${i}`);
    return new Program({
      name: `worker ${i}`,
      onDeath: () => {},
      command: [join(import.meta.dir, "worker.ts"), runs, ...order],
      logFile: join(folder, `worker-${i}.log`),
    });
  });
  return { servers, urls, workers: workerPrograms, clocks: clocks ?? [] };
}
