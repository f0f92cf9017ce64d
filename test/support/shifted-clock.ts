/** Processes whose clock can be set: a small library, made by the C compiler, comes before theirs. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const compiler = Bun.which("cc");

/** Why clocks cannot be set here; undefined when they can. */
export const clocksFixed =
  process.platform !== "linux" || compiler === null
    ? "clocks are set by a library for Linux that needs a C compiler: apt-get install gcc"
    : undefined;

export interface ShiftedClock {
  /** For the environment of a process. */
  readonly env: Readonly<Record<string, string>>;
  /** So far from the right time, from now on. */
  set(shiftMs: number): void;
  remove(): void;
}

export function makeShiftedClock(shiftMs = 0): ShiftedClock {
  const folder = mkdtempSync(join(tmpdir(), "orchy-clock-"));
  const [library, path] = [join(folder, "clock.so"), join(folder, "shift")];
  const source = join(import.meta.dir, "shifted-clock.c");
  const flags = ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"];
  const { success, stderr } = Bun.spawnSync([compiler as string, ...flags], { stderr: "pipe" });
  if (!success) throw new Error(stderr.toString());
  const file = openSync(path, "w");
  const set = (ms: number) => {
    writeSync(file, new Uint8Array(new BigInt64Array([BigInt(ms)]).buffer), 0, 8, 0);
  };
  set(shiftMs);
  return {
    env: { LD_PRELOAD: library, SHIFTED_CLOCK: path },
    set,
    remove() {
      closeSync(file);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
