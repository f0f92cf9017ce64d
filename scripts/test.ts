/**
 * `npm test`: every check of the project and all tests that are not long. `npm run test:full` (`--full`):
 * the long ones, in files named `*.full.test.ts`. `--all`: both. Shows the output of what fails, where
 * the time went, and ends with the line "N passed, N failed", where each check counts one and each test
 * counts one. Other arguments go to `bun test`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePrograms } from "./programs.ts";
import { readLog, readReport, type SuiteFile } from "./test-report.ts";

const root = join(import.meta.dirname, "..");
const installed = (name: string): string => join(root, "node_modules", ".bin", name);
const counts = { passed: 0, failed: 0 };
const files: SuiteFile[] = [];
/** Printed again at the end: a log that is cut to its end still says why. */
const failures: string[] = [];

const checks: readonly (readonly [name: string, command: readonly string[]])[] = [
  ["format and lint", [installed("biome"), "ci", "--colors=off"]],
  ["types", [installed("tsc"), "--noEmit"]],
  ["generated code", [process.execPath, "scripts/generate.ts", "--check"]],
  ["third-party notice", [process.execPath, "scripts/third-party.ts", "--check"]],
];

interface Suite {
  readonly title: string;
  readonly args: readonly string[];
  /** One that takes longer hangs: it is ended, and what it was at is reported. */
  readonly minutesMax: number;
}

const given = process.argv.slice(2);
const chosen = ["--full", "--all"].find((flag) => flag === given[0]);
const args = chosen === undefined ? given : given.slice(1);

let suite: Bun.Subprocess | undefined;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  process.on(signal, () => {
    suite?.kill("SIGTERM");
    process.exit(1);
  });
}

await ensurePrograms();
if (chosen !== "--full") {
  for (const [name, command] of checks) await check(name, command);
  // Most tests wait for most of their time. The slowest files come first.
  const parallel = [`--parallel=${2 * availableParallelism()}`, "--timings=test/timings.json"];
  const isLong = ["--path-ignore-patterns=**/*.full.test.ts"];
  await runSuite({ title: "tests", args: [...parallel, ...isLong, ...args], minutesMax: 20 });
}
if (chosen !== undefined) {
  // One file at a time: some put the whole machine under load.
  for (const path of longFiles()) {
    const others = args.filter((arg) => !path.includes(arg));
    await runSuite({ title: path, args: [path, ...others], minutesMax: 10 });
  }
}

for (const failure of failures) console.log(`FAILED ${failure}`);
const slowest = files.sort((a, b) => b.seconds - a.seconds).slice(0, 10);
console.log("The slowest files:");
for (const { path, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)} s ${path}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
// No sooner than all is written, however slow who reads it is.
process.exitCode = counts.failed === 0 ? 0 : 1;

/** Those that the arguments name, or all where they name none. */
function longFiles(): readonly string[] {
  const all = [...new Bun.Glob("test/**/*.full.test.ts").scanSync(root)].sort();
  const named = all.filter((path) => args.some((arg) => path.includes(arg)));
  return named.length > 0 ? named : all;
}

async function check(name: string, command: readonly string[]): Promise<void> {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  const said = `${output}${errors}`.trimEnd();
  if (code !== 0) {
    console.log(said);
    failures.push(`${name}\n${said}`);
  }
  counts[code === 0 ? "passed" : "failed"] += 1;
}

async function runSuite({ title, args: own, minutesMax }: Suite): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "orchy-test-"));
  const startedMs = performance.now();
  try {
    const report = join(folder, "report.xml");
    const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
    // A test that hangs ends in time; that the machine has much else to do is no failure.
    const command = [process.execPath, "test", "--timeout=120000", ...reporter, ...own];
    // By a shell: lines of both outputs stay in their order.
    const shell = ["sh", "-c", 'exec "$0" "$@" 2>&1'];
    const child = Bun.spawn([...shell, ...command], { cwd: root, stdout: "pipe" });
    suite = child;
    const watchdog = setTimeout(() => child.kill("SIGTERM"), minutesMax * 60_000);
    const [log, code] = await Promise.all([passOn(child.stdout), child.exited]);
    clearTimeout(watchdog);
    const { tests, failed, skipped, reasons, files: timed } = await readReport(report);
    const outside = readLog(log);
    failures.push(...reasons, ...outside);
    if (skipped > 0) console.log(`${skipped} skipped; each says why above.`);
    counts.passed += tests - failed - skipped;
    counts.failed += failed + outside.length;
    if (code !== 0 && failed + outside.length === 0) {
      counts.failed += 1;
      failures.push(`${title}: it ended with ${code} and gave no reason`);
    }
    files.push(...timed);
    console.log(`${title}: ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Prints what comes, and returns all of it. */
async function passOn(from: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    await new Promise((resolve) => process.stdout.write(chunk, resolve));
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
