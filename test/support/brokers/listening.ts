/** Waiting for a program that a test has started. */
import type { Subprocess } from "bun";

const retryMs = 50;
/** The machine may have much else to do. */
const startMsMax = 120_000;

/** Resolves once it is ready; throws with what it printed where it ends before. */
export async function untilListening(
  name: string,
  child: Subprocess,
  { isReady, log }: { isReady: () => Promise<boolean>; log: Bun.BunFile },
): Promise<void> {
  const deadline = performance.now() + startMsMax;
  while (!(await isReady().catch(() => false))) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (hasEnded || performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`${name} did not start:\n${(await log.text()).slice(-4_000)}`);
    }
    await Bun.sleep(retryMs);
  }
}
