/** Reads what `bun test` leaves: its JUnit report, and in its log what that report says nothing of. */
import { readFile } from "node:fs/promises";

export interface SuiteFile {
  readonly path: string;
  readonly seconds: number;
}

export interface Report {
  readonly tests: number;
  readonly failed: number;
  readonly skipped: number;
  /** Name and message of each test that failed. */
  readonly reasons: readonly string[];
  readonly files: readonly SuiteFile[];
}

/** The totals are those of the outermost element. An absent report counts nothing. */
export async function readReport(path: string): Promise<Report> {
  const text = await readFile(path, "utf8").catch(() => "");
  const totals = /<testsuites\b[^>]*>/.exec(text)?.[0] ?? "";
  const total = (name: string): number => Number(attribute(totals, name) ?? 0);
  const failures = /<testcase\b([^>]*)>\s*<failure\b([^>]*?)(?:\/>|>([^<]*)<)/g;
  const reasons = [...text.matchAll(failures)].map(([, test = "", failure = "", detail = ""]) => {
    const reason = detail.trim() === "" ? attribute(failure, "message") : unescapeXml(detail);
    return `${attribute(test, "file")}: ${attribute(test, "name")}\n${reason}`;
  });
  const suites = text.matchAll(/^ {2}<testsuite\b([^>]*)>/gm);
  const files = [...suites].map(([, suite = ""]) => ({
    path: attribute(suite, "file") ?? "",
    seconds: Number(attribute(suite, "time")),
  }));
  const [tests, failed, skipped] = [total("tests"), total("failures"), total("skipped")];
  return { tests, failed, skipped, reasons, files };
}

/** What failed outside every test: a file that cannot be loaded, and files that were interrupted. */
export function readLog(log: string): string[] {
  const reasons: string[] = [];
  let file = "";
  const lines = log.split("\n");
  for (const [i, line] of lines.entries()) {
    if (/^\S+\.test\.ts:$/.test(line)) file = line;
    if (line.startsWith("# Unhandled error between tests")) {
      const end = lines.findIndex((one, at) => at > i + 1 && /^-{10,}$/.test(one));
      reasons.push(`${file} ${lines.slice(i, end).join("\n")}`);
    }
    if (line === "Interrupted while still running:") {
      const running = lines.slice(i + 1).findIndex((one) => !one.startsWith("  "));
      reasons.push(`interrupted:\n${lines.slice(i + 1, i + 1 + running).join("\n")}`);
    }
  }
  return reasons;
}

function attribute(tag: string, name: string): string | undefined {
  const found = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return found === undefined ? undefined : unescapeXml(found);
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) =>
    code === undefined ? (named[name] ?? whole) : String.fromCodePoint(Number(code)),
  );
}
