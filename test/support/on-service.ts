/** Suites on a database that is started before them, and skipped, with the reason, where it cannot be. */
import { afterAll, beforeAll, describe, test } from "bun:test";

export interface Service<Running> {
  /** Why it cannot be started here; undefined when it can. */
  missing(): Promise<string | undefined>;
  start(): Promise<Running>;
  readonly startMs: number;
}

/** `skipped`: what is skipped without it. The tests get it by `running`, once it has been started. */
export async function describeOn<Running extends { stop(): Promise<void> }>(
  { missing, start, startMs }: Service<Running>,
  { title, skipped }: { readonly title: string; readonly skipped: string },
  tests: (running: () => Running) => void,
): Promise<void> {
  const reason = await missing();
  if (reason !== undefined) return test.skip(`${skipped} (${reason})`, () => {});
  describe(title, () => {
    let started: Running;
    beforeAll(async () => {
      started = await start();
    }, startMs);
    afterAll(() => started.stop());
    tests(() => started);
  });
}
