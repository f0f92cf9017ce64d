/**
 * DynamoDB as dynoxide imitates it, a program of Rust under a free licence: on a free port of loopback,
 * in memory, stopped by its process id. It is much faster than ministack, and its queries take no longer
 * where many items stand beside those that are sought; so it is what figures of the processor, chaos and
 * the suites of the store run on. Requests and capacity are counted on ministack.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installCargo, TestProgram } from "../installed.ts";
import { freePort } from "../ports.ts";
import { untilListening } from "./listening.ts";

const version = "3.2.0";

export interface Dynoxide {
  readonly endpoint: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Without what it does for other tools. */
const features = ["cli", "http-server", "native-sqlite"];
const program = new TestProgram(() => installCargo("dynoxide-rs", version, features));

/** Why it cannot be started here; undefined when it can. Builds it, for minutes, where it is missing. */
export function dynoxideMissing(): Promise<string | undefined> {
  return program.missing();
}

export async function startDynoxide(): Promise<Dynoxide> {
  const folder = await program.folder();
  const home = mkdtempSync(join(tmpdir(), "orchy-dynoxide-"));
  const log = Bun.file(join(home, "log"));
  const port = freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = Bun.spawn([join(folder, "bin", "dynoxide"), "--port", `${port}`], {
    cwd: home,
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const isReady = async () => (await fetch(endpoint)).status > 0;
  await untilListening("dynoxide", child, { isReady, log });
  return {
    endpoint,
    pid: child.pid,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
