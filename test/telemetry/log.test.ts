/** The log: no event floods it, and an outage is logged once. */
import { expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { createLogger, type LogLevel } from "../../src/telemetry/log.ts";
import { Outage } from "../../src/telemetry/outage.ts";

interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A clock that the test moves. */
function handClock() {
  const waiting: { at: number; callback: () => void }[] = [];
  let now = 1_000_000;
  const clock: Clock = {
    now: () => now,
    after(ms, callback) {
      const entry = { at: now + ms, callback };
      waiting.push(entry);
      return () => waiting.splice(waiting.indexOf(entry), 1);
    },
    soon: (callback) => callback(),
  };
  const pass = (ms: number) => {
    now += ms;
    for (const entry of waiting.filter(({ at }) => at <= now)) {
      waiting.splice(waiting.indexOf(entry), 1);
      entry.callback();
    }
  };
  return { clock, pass };
}

function open(level: LogLevel = "info") {
  const { clock, pass } = handClock();
  const lines: Line[] = [];
  const log = createLogger({ level, clock, write: (line) => lines.push(JSON.parse(line)) });
  return { clock, pass, lines, log };
}

test("of one message no more than 100 lines come in 10 s; the rest is counted", () => {
  const { log, lines, pass } = open();
  const other = log.with({ part: "other" });
  for (let i = 0; i < 1_000; i++) (i % 2 === 0 ? log : other).info("again", { i });
  log.info("something else");
  expect(lines.filter(({ message }) => message === "again")).toHaveLength(100);
  expect(lines.at(-1)?.message).toBe("something else");
  pass(10_000);
  expect(lines.at(-1)).toMatchObject({ message: "lines were left out", of: "again", leftOut: 900 });
  log.info("again", { i: "new" });
  expect(lines.at(-1)).toMatchObject({ message: "again", i: "new" });
});

test("changes by hand, and what is asked for with debug, are never left out", () => {
  const { log, lines } = open("debug");
  for (let i = 0; i < 300; i++) {
    log.info("changed by hand", { audit: true });
    log.debug("request");
  }
  expect(lines).toHaveLength(600);
});

test("what is away is told when it goes and when it is back, with how long and how much", () => {
  const { log, lines, clock, pass } = open();
  const outage = new Outage("The store", { clock, log });
  outage.succeeded();
  expect(lines).toEqual([]);
  for (let i = 0; i < 500; i++) {
    outage.failed(new Error("connection refused"));
    // Half of it still answers.
    if (i % 2 === 0) outage.succeeded();
    pass(10);
  }
  outage.succeeded();
  pass(3_500);
  outage.succeeded();
  expect(lines).toMatchObject([
    { level: "warn", message: "The store is away", reason: "connection refused" },
    { level: "warn", message: "The store is back", awayMs: 5_000, failedCalls: 500 },
  ]);
  outage.failed(new Error("again"));
  expect(lines).toHaveLength(3);
});

test("characters that terminals and viewers act on are escaped, and still mean the same", () => {
  const { clock } = handClock();
  const lines: string[] = [];
  const log = createLogger({ level: "info", clock, write: (line) => lines.push(line) });
  const name = "a\u001b[2J\u007f\u0085\u009b1m\u2028\u2029é\u{1f600}";
  log.info("named", { name });
  expect(lines[0]).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  expect(lines[0]).toContain("é\u{1f600}");
  expect(JSON.parse(lines[0]!).name).toBe(name);
});
