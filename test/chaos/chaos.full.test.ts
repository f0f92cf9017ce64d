/**
 * A minute of the chaos run on one Redis: three servers and three workers in separate processes,
 * killed, stopped and cut off under load; then every promise is checked. `npm run chaos` does more.
 */
import { expect, test } from "bun:test";
import { redisMissing } from "../support/redis.ts";
import { printReport } from "./report.ts";
import { runChaos } from "./run.ts";

if (redisMissing !== undefined) console.log(`SKIPPED the chaos run: ${redisMissing}`);

test.skipIf(redisMissing !== undefined)(
  "nothing acknowledged is lost, doubled or stuck when processes and connections fail",
  async () => {
    const seed = Math.floor(Math.random() * 1_000_000);
    const options = {
      target: "redis",
      seconds: 60,
      seed,
      startsPerSecond: 12,
      workers: 3,
    } as const;
    const report = await runChaos(options);
    if (report.violations.length > 0) printReport(report);
    expect(report.violations.map(({ sentence }) => sentence)).toEqual([]);
    expect(report.checked).toBeGreaterThan(100);
    const struck = [...report.recoveries.values()].filter((times) => times.length > 0);
    expect(struck.length).toBeGreaterThan(3);
  },
  400_000,
);
