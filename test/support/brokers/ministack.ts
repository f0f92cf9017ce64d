/**
 * DynamoDB and SQS as ministack imitates them: on a free port of loopback, in memory, stopped by its
 * process id.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPython, TestProgram } from "../installed.ts";
import { freePort } from "../ports.ts";
import { untilListening } from "./listening.ts";

const version = "1.5.33";

export interface Ministack {
  readonly port: number;
  readonly endpoint: string;
  stop(): Promise<void>;
}

const program = new TestProgram(() => installPython("ministack", version));

/** Why it cannot be started here; undefined when it can. Installs it where it is missing. */
export function ministackMissing(): Promise<string | undefined> {
  return program.missing();
}

/** `port`: of one that was stopped, in whose place it comes, with nothing in it. */
export async function startMinistack(port = freePort()): Promise<Ministack> {
  const folder = await program.folder();
  const home = mkdtempSync(join(tmpdir(), "orchy-ministack-"));
  const log = Bun.file(join(home, "log"));
  const endpoint = `http://127.0.0.1:${port}`;
  const child = Bun.spawn(["python3", "-m", "ministack"], {
    cwd: home,
    env: {
      ...process.env,
      PYTHONPATH: folder,
      // Its default is every address of the machine.
      BIND_HOST: "127.0.0.1",
      GATEWAY_PORT: `${port}`,
      SERVICES: "dynamodb,sqs",
      LOG_LEVEL: "WARNING",
      TMPDIR: home,
    },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const isReady = async () => (await fetch(`${endpoint}/_ministack/health`)).ok;
  await untilListening("ministack", child, { isReady, log });
  return {
    port,
    endpoint,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
