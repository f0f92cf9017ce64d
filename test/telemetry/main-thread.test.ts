import { afterEach, beforeEach, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { MainThread, mainThreadLogMs } from "../../src/telemetry/main-thread.ts";
import { HandClock } from "../support/hand-clock.ts";

const clock = new HandClock();
let lines: Record<string, unknown>[];
let held: [string, number][];
let late: number[];
let mainThread: MainThread;
let stop: () => void;

beforeEach(() => {
  [lines, held, late] = [[], [], []];
  const log = createLogger({
    level: "info",
    clock,
    write: (line) => lines.push(JSON.parse(line)),
  });
  mainThread = new MainThread();
  stop = mainThread.watch({
    clock,
    log,
    onBlocked: (kind, ms) => held.push([kind, Math.round(ms)]),
    onLate: (ms) => late.push(ms),
  });
});
afterEach(() => stop());

/** As if it had begun so long ago. */
const ago = (ms: number) => performance.now() - ms;

test("what mainThread the main thread is counted, measured and named", () => {
  mainThread.ran("execution", "e-1", ago(1));
  expect(held).toEqual([]);
  mainThread.ran("execution", "e-2", ago(30_000));
  expect(held[0]![0]).toBe("execution");
  expect(held[0]![1]).toBeGreaterThanOrEqual(30_000);
  expect(mainThread.longestSeconds()).toBeGreaterThanOrEqual(30);
  const line = { level: "warn", message: "the main thread was blocked", kind: "execution" };
  expect(lines).toEqual([expect.objectContaining({ ...line, name: "e-2" })]);
});

test("many mainThread are all counted, and one line in a second says how many more there were", () => {
  for (let at = 0; at < 10; at++) mainThread.ran("request", `GET /v1/${at}`, ago(100));
  expect(held.length).toBe(10);
  expect(lines.map(({ name }) => name)).toEqual(["GET /v1/0"]);
  clock.elapsedMs += mainThreadLogMs;
  mainThread.ran("request", "GET /v1/again", ago(100));
  expect(lines[1]).toMatchObject({ name: "GET /v1/again", before: 9 });
});

test("what nobody measured is found by a timer that fires late", async () => {
  mainThread.ran("request", "GET /v1/executions/{id}", ago(1));
  const until = performance.now() + 3 * limits.mainThreadMs;
  while (performance.now() < until);
  await clock.pass(limits.mainThreadMs / 2);
  expect(late[0]).toBeGreaterThan(limits.mainThreadMs);
  expect(lines).toEqual([
    expect.objectContaining({ level: "info", kind: "other", after: "GET /v1/executions/{id}" }),
  ]);
});

test("what was measured is not found again by the timer", async () => {
  const startedAt = performance.now();
  while (performance.now() < startedAt + 3 * limits.mainThreadMs);
  mainThread.ran("execution", "e-3", startedAt);
  await clock.pass(limits.mainThreadMs / 2);
  expect(held.map(([kind]) => kind)).toEqual(["execution"]);
});

test("a hold that nothing measured keeps no warning out of the log", async () => {
  const until = performance.now() + 3 * limits.mainThreadMs;
  while (performance.now() < until);
  await clock.pass(limits.mainThreadMs / 2);
  mainThread.ran("execution", "e-4", ago(100));
  expect(lines.map(({ level, kind }) => [level, kind])).toEqual([
    ["info", "other"],
    ["warn", "execution"],
  ]);
});
