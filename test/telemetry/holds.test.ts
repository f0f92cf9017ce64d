import { afterEach, beforeEach, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { Holds, holdLogMs } from "../../src/telemetry/holds.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { HandClock } from "../support/hand-clock.ts";

const clock = new HandClock();
let lines: Record<string, unknown>[];
let held: [string, number][];
let late: number[];
let holds: Holds;
let stop: () => void;

beforeEach(() => {
  [lines, held, late] = [[], [], []];
  const log = createLogger({
    level: "info",
    clock,
    write: (line) => lines.push(JSON.parse(line)),
  });
  holds = new Holds();
  stop = holds.watch({
    clock,
    log,
    onHeld: (kind, ms) => held.push([kind, Math.round(ms)]),
    onLate: (ms) => late.push(ms),
  });
});
afterEach(() => stop());

/** As if it had begun so long ago. */
const ago = (ms: number) => performance.now() - ms;

test("what holds the main thread is counted, measured and named", () => {
  holds.ran("execution", "e-1", ago(1));
  expect(held).toEqual([]);
  holds.ran("execution", "e-2", ago(30_000));
  expect(held[0]![0]).toBe("execution");
  expect(held[0]![1]).toBeGreaterThanOrEqual(30_000);
  expect(holds.longestSeconds()).toBeGreaterThanOrEqual(30);
  const line = { level: "warn", message: "the main thread was held", kind: "execution" };
  expect(lines).toEqual([expect.objectContaining({ ...line, name: "e-2" })]);
});

test("many holds are all counted, and one line in a second says how many more there were", () => {
  for (let at = 0; at < 10; at++) holds.ran("request", `GET /v1/${at}`, ago(100));
  expect(held.length).toBe(10);
  expect(lines.map(({ name }) => name)).toEqual(["GET /v1/0"]);
  clock.elapsedMs += holdLogMs;
  holds.ran("request", "GET /v1/again", ago(100));
  expect(lines[1]).toMatchObject({ name: "GET /v1/again", before: 9 });
});

test("what nobody measured is found by a timer that fires late", async () => {
  holds.ran("request", "GET /v1/executions/{id}", ago(1));
  const until = performance.now() + 3 * limits.holdMs;
  while (performance.now() < until);
  await clock.pass(limits.holdMs / 2);
  expect(late[0]).toBeGreaterThan(limits.holdMs);
  expect(lines).toEqual([
    expect.objectContaining({ level: "info", kind: "other", after: "GET /v1/executions/{id}" }),
  ]);
});

test("what was measured is not found again by the timer", async () => {
  const startedAt = performance.now();
  while (performance.now() < startedAt + 3 * limits.holdMs);
  holds.ran("execution", "e-3", startedAt);
  await clock.pass(limits.holdMs / 2);
  expect(held.map(([kind]) => kind)).toEqual(["execution"]);
});

test("a hold that nothing measured keeps no warning out of the log", async () => {
  const until = performance.now() + 3 * limits.holdMs;
  while (performance.now() < until);
  await clock.pass(limits.holdMs / 2);
  holds.ran("execution", "e-4", ago(100));
  expect(lines.map(({ level, kind }) => [level, kind])).toEqual([
    ["info", "other"],
    ["warn", "execution"],
  ]);
});
