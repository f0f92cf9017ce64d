/** `npm start` as a process: what ends it ends its worker, too. */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";

const scripts = join(import.meta.dirname, "..", "scripts");
const flags = ["--store", "memory:", "--http-port", "0", "--grpc-port", "0"];
const direct = [process.execPath, join(scripts, "start.ts")];
const asNpm = ["node", join(scripts, "bootstrap.mjs"), join(scripts, "start.ts")];

const workers: number[] = [];
afterEach(() => {
  for (const pid of workers.splice(0)) if (isAlive(pid)) process.kill(pid, "SIGKILL");
});

/** It has printed what to try, and its worker that it runs; its output is read to the end. */
async function start(command: readonly string[]) {
  const child = Bun.spawn([...command, ...flags], { stdin: "ignore", stdout: "pipe" });
  const { promise: workerPid, resolve } = Promise.withResolvers<number>();
  const reading = (async () => {
    let output = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += chunk;
      // The worker's id: host, process and a random end.
      const pid = /^worker .*-(\d+)-[0-9a-f]{8} at /m.exec(output)?.[1];
      if (pid !== undefined && output.includes("Ctrl-C stops")) resolve(Number(pid));
    }
  })();
  return { child, workerPid: await workerPid, reading };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.each([
  ["SIGTERM", asNpm],
  ["SIGHUP", asNpm],
  // Nothing of it is there any more that could stop its worker.
  ["SIGKILL", direct],
] as const)(
  "%s leaves no worker",
  async (signal, command) => {
    const { child, workerPid, reading } = await start(command);
    workers.push(workerPid);
    expect(isAlive(workerPid)).toBe(true);
    child.kill(signal);
    await child.exited;
    if (signal !== "SIGKILL") expect(isAlive(workerPid)).toBe(false);
    // The worker writes to the same pipe, which ends with the last of them.
    await reading;
    while (isAlive(workerPid)) await Bun.sleep(20);
  },
  120_000,
);
