/**
 * `npm test`: every check of the project. Shows the output of what fails, and ends with the line
 * "N passed, N failed", where each check counts one and each test of the suite counts one.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePrograms } from "./programs.ts";

const root = join(import.meta.dirname, "..");
const installed = (name: string): string => join(root, "node_modules", ".bin", name);
const counts = { passed: 0, failed: 0 };

const checks: readonly (readonly [name: string, command: readonly string[]])[] = [
  ["format and lint", [installed("biome"), "ci", "--colors=off"]],
  ["types", [installed("tsc"), "--noEmit"]],
  ["generated code", [process.execPath, "scripts/generate.ts", "--check"]],
  ["third-party notice", [process.execPath, "scripts/third-party.ts", "--check"]],
];

for (const [name, command] of checks) {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (code !== 0) console.log(`${output}${errors}`.trimEnd());
  counts[code === 0 ? "passed" : "failed"] += 1;
}

await ensurePrograms();

const folder = await mkdtemp(join(tmpdir(), "orchy-test-"));
try {
  const report = join(folder, "report.xml");
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  // One that hangs ends in time; that the machine has much else to do is no failure.
  const args = ["--timeout", "120000", ...process.argv.slice(2)];
  const suite = Bun.spawn([process.execPath, "test", ...reporter, ...args], {
    cwd: root,
    stdout: "inherit",
    stderr: "inherit",
  });
  const code = await suite.exited;
  const { tests, failures, skipped, reasons } = await readReport(report);
  // Again at the end: a log that is cut to its end still says why.
  for (const reason of reasons) console.log(`FAILED ${reason}`);
  if (skipped > 0) console.log(`${skipped} skipped; each says why above.`);
  counts.passed += tests - failures - skipped;
  counts.failed += failures;
  // An error outside every test, or no report at all, is in no count of tests.
  if (code !== 0 && failures === 0) counts.failed += 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);

/** The totals of a JUnit report, from its outermost element, and the text of each failure. */
async function readReport(path: string) {
  const text = await readFile(path, "utf8").catch(() => "");
  const totals = /<testsuites\b[^>]*>/.exec(text)?.[0] ?? "";
  const total = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0);
  const failed = /<testcase name="([^"]*)"[^>]*>\s*<failure\b[^>]*>([^<]*)</g;
  const reasons = [...text.matchAll(failed)].map(([, name, reason]) =>
    unescapeXml(`${name}\n${reason}`),
  );
  return { tests: total("tests"), failures: total("failures"), skipped: total("skipped"), reasons };
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) =>
    code === undefined ? (named[name] ?? whole) : String.fromCodePoint(Number(code)),
  );
}
