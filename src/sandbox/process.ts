/**
 * One script process seen from the server: starting it, sending it frames, reading its answers and
 * its end. It gets no environment, no working directory of the server's, and no open file but its
 * pipes; when its input closes, it ends by itself.
 */
import { readFileSync } from "node:fs";
import { encodeFrame, FrameReader } from "./frame.ts";
import type { ScriptLimits } from "./machine.ts";

export interface ScriptProcess {
  readonly pid: number;
  /**
   * Processor time of all its threads; undefined where the system does not say (only Linux does).
   */
  cpuMs(): number | undefined;
  send(texts: readonly string[]): void;
  kill(): void;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
}

interface ScriptProcessListener {
  /** One frame: whether the process is `ready` or `busy`, then the answer, if it is one. */
  heard(texts: string[]): void;
  /** Everything that it wrote has been heard; nothing comes after this. */
  ended(reason: string): void;
}

/** Texts around the output in an answer: status, route, message. */
const answerRoomBytes = 1024 * 1024;

const program = `${import.meta.dir}/child.ts`;

/** Throws when the system gives no process. */
export function startScriptProcess(
  limits: ScriptLimits,
  listener: ScriptProcessListener,
): ScriptProcess {
  const child = Bun.spawn([process.execPath, program, JSON.stringify(limits)], {
    cwd: "/",
    env: {},
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  // A server that has nothing else to do may end while its idle children live.
  child.unref();
  const kill = () => child.kill("SIGKILL");
  const ended = listen().then(listener.ended);
  return { pid: child.pid, cpuMs: () => cpuMsOf(child.pid), send, kill, ended };

  async function listen(): Promise<string> {
    let problem: string | undefined;
    try {
      const reader = new FrameReader(limits.outputBytesMax + answerRoomBytes);
      for await (const chunk of child.stdout) {
        reader.push(chunk);
        for (let texts = reader.next(); texts; texts = reader.next()) listener.heard(texts);
      }
    } catch (error) {
      // A process that sends nonsense is not to be trusted with another script.
      problem = `it answered wrongly: ${error instanceof Error ? error.message : String(error)}`;
    }
    kill();
    await child.exited;
    return problem ?? `${child.signalCode ?? `exit code ${child.exitCode}`}`;
  }

  function send(texts: readonly string[]): void {
    child.stdin.write(encodeFrame(texts));
    // A process that is already gone refuses the bytes; its end is heard through its output.
    Promise.resolve(child.stdin.flush()).catch(() => {});
  }
}

/** Linux counts in ticks of 10 ms. */
const tickMs = 10;

function cpuMsOf(pid: number): number | undefined {
  try {
    // After the name, which stands in brackets: fields 3 and on; user and system time are 14 and
    // 15.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * tickMs;
  } catch {
    return undefined;
  }
}
