/**
 * `bun run soak -- --minutes 30`: does a server that runs for long stay as it is? One connection
 * carries a steady load of polls with results, starts, signals and reads, a million calls in half an
 * hour, while memory, handles, threads, the store's files and the lag of the event loop are sampled
 * every 10 s. Prints the samples, and for each measure its slope and whether that is flat (see
 * `soak/verdict.ts`). Ends with 1 when something grows, a call fails or the connection ends.
 * `--grpc` has the polls go over one gRPC connection instead.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decimal } from "../src/config/settings.ts";
import { Connection, GrpcLink } from "../test/soak/connection.ts";
import { Load } from "../test/soak/load.ts";
import { Meter, type Sample } from "../test/soak/measure.ts";
import { fitSecondHalf, judge } from "../test/soak/verdict.ts";
import { startServer, stop } from "./bench/support.ts";
import { readOptions } from "./options.ts";

const values = readOptions("A steady load for long: does the server stay as it is?", {
  minutes: { type: "string", default: "30", about: "of load", read: decimal(0.1, 10_080) },
  rate: {
    type: "string",
    default: "150",
    about: "executions started a second",
    read: decimal(0.1, 10_000),
  },
  "sample-seconds": {
    type: "string",
    default: "10",
    about: "between two samples",
    read: decimal(0.1, 3_600),
  },
  grpc: { type: "boolean", default: false, about: "polls go over one gRPC connection" },
});
const { minutes, rate, "sample-seconds": sampleSeconds } = values;

/**
 * A removed execution leaves its tombstone for a day, so that its id is known to have been used: the
 * store grows by that much an execution, and by no more.
 */
const tombstoneBytes = 512;

/** Two more handles or threads are no leak: a step of two in the middle has this slope by the hour. */
const steps = (3 * 60) / (minutes / 2);

/** What each measure may grow by in an hour and still count as flat. */
const allowed = {
  rssMib: 32,
  handles: steps,
  sockets: steps,
  threads: steps,
  storeMib: 1 + (rate * 3_600 * tombstoneBytes) / (1024 * 1024),
  lagMs: 5,
} as const;

const folder = mkdtempSync(join(tmpdir(), "orchy-soak-"));
const file = join(folder, "orchy.db");
const server = await startServer({ store: `sqlite:${file}` });
const failures: string[] = [];
const ending = new AbortController();
const connection = new Connection(server.url, (reason) => {
  failures.push(`the connection has ended: ${reason}`);
  ending.abort();
});
const grpc = values.grpc ? new GrpcLink(`http://${server.grpc}`) : undefined;
const load = new Load({ connection, workers: grpc ?? connection, executionsPerSecond: rate });
const meter = new Meter(server.process.pid, file, connection);
const samples: Sample[] = [];

function fixed(sample: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(sample).map(([name, value]) => [
      name,
      Number.isInteger(value) ? `${value}` : (value as number).toFixed(2),
    ]),
  );
}

async function sampleAll(beganAt: number): Promise<void> {
  const rounds = Math.floor((minutes * 60) / sampleSeconds);
  for (let round = 1; round <= rounds && !ending.signal.aborted; round++) {
    await Bun.sleep(beganAt + round * sampleSeconds * 1_000 - performance.now());
    const seconds = Math.round((performance.now() - beganAt) / 1_000);
    const calls = connection.calls + (grpc?.calls ?? 0);
    const sample = { seconds, calls, ...(await meter.read()) };
    samples.push(sample);
    console.log(JSON.stringify(fixed(sample)));
  }
  ending.abort();
}

try {
  const beganAt = performance.now();
  await Promise.all([load.run(ending.signal), sampleAll(beganAt)]);
} finally {
  connection.close();
  grpc?.close();
  await stop(server);
  rmSync(folder, { recursive: true, force: true });
}

failures.push(...load.failures);
const rows = Object.entries(allowed).map(([measure, allowedPerHour]) => {
  const points = samples.map((sample) => ({
    seconds: sample.seconds,
    value: sample[measure as keyof typeof allowed],
  }));
  const fit = fitSecondHalf(points);
  const shown = fixed({ mean: fit.mean, "an hour": fit.perHour, "±": 2 * fit.error });
  const limit = allowedPerHour.toFixed(1);
  return { measure, ...shown, allowed: limit, verdict: judge(fit, allowedPerHour) };
});
console.table(samples.map(fixed));
console.table(rows);
const calls = connection.calls + (grpc?.calls ?? 0);
console.log(`${calls} calls, ${load.completed} of ${load.started} executions completed.`);
for (const failure of failures) console.error(`FAILED: ${failure}`);
const grown = rows.filter(({ verdict }) => verdict === "grows");
for (const { measure } of grown) console.error(`GROWS: ${measure}`);
process.exit(failures.length + grown.length > 0 ? 1 : 0);
