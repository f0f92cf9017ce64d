/**
 * The tables of docs/ that follow from the code: flags, limits, metrics and error codes. A table stands
 * between `<!-- generated: name -->` and `<!-- end -->`.
 */
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { allRoutes } from "../../src/api/rest/routes.ts";
import { grouped, inBytes, inTime } from "../../src/base/amount.ts";
import { errorKinds, failureKinds } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { describeFlags } from "../../src/config/flags.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

const root = join(import.meta.dirname, "..", "..");

/** As the formatter of the project lays it out. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows].map((row) =>
    row.map((cell) =>
      cell
        .replace(/(?<!\\)\|/g, "\\|")
        .replace(/\s+/g, " ")
        .trim(),
    ),
  );
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
  const lines = cells.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`,
  );
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

const code = (text: string): string => (text === "" ? "" : `\`${text}\``);

function flags(): string {
  const rows = describeFlags().map(
    ({ name, placeholder, default: preset, explanation, variables }) => [
      code(placeholder === undefined ? `--${name}` : `--${name} <${placeholder}>`),
      variables.map(code).join(", "),
      code(preset),
      explanation.replaceAll("<", "\\<"),
    ],
  );
  return table(["flag", "variable", "default", "meaning"], rows);
}

/** Without those of the Go server, which docs/go-server.md compares. */
function routes(): string {
  const rows = allRoutes()
    .filter(({ style }) => style === "v1")
    .map(({ method, path, access, summary }) => [code(`${method} ${path}`), access, summary]);
  return table(["route", "access", "does"], rows);
}

function apiErrors(): string {
  const kinds = Object.entries(errorKinds);
  const rows = kinds
    .sort(([, one], [, other]) => one.status - other.status)
    .map(([name, { status, connect, sentence }]) => [
      code(name),
      `${status}`,
      code(connect),
      sentence,
    ]);
  return table(["code", "HTTP", "Connect and gRPC", "meaning"], rows);
}

function failures(): string {
  const rows = Object.entries(failureKinds).map(([name, { retried, sentence }]) => [
    code(name),
    retried ? "yes" : "no",
    sentence,
  ]);
  return table(["code", "retried", "meaning"], rows);
}

async function metrics(): Promise<string> {
  const all = new Metrics();
  const nothing = () => 0;
  all.read({
    parkedPolls: nothing,
    mailboxes: nothing,
    waitingScripts: nothing,
    repairs: nothing,
  });
  all.readStoreLog(nothing);
  all.countDynamo();
  all.readTraces({ sent: 0, dropped: 0 });
  const described = await all.describe();
  const rows = described
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(", "), help]);
  return table(["metric", "type", "labels", "meaning"], rows);
}

interface LimitSection {
  readonly title: string;
  readonly rows: string[][];
}

/** The bodies of the objects that `limits` is made of, in its order. */
function limitBodies(): string {
  const folder = join(root, "src", "base");
  const text = readFileSync(join(folder, "limits.ts"), "utf8");
  return [...text.matchAll(/\.\.\.(\w+),/g)]
    .map(([, name]) => new RegExp(`{ ${name} } from "(.*)"`).exec(text)![1]!)
    .map((path) => readFileSync(join(folder, path), "utf8"))
    .map((text) => text.slice(text.indexOf("export const"), text.indexOf("} as const;")))
    .join("\n");
}

/** Headings and explanations are the comments beside the values. */
function limitSections(): LimitSection[] {
  const parts = /\/\*\*([\s\S]*?)\*\/|^ {2}\/\/ (.*)$|^ {2}(\w+):/gm;
  const sections: LimitSection[] = [];
  let comment = "";
  for (const [, block, heading, name] of limitBodies().matchAll(parts)) {
    if (block !== undefined) {
      comment = block
        .replace(/^\s*\*/gm, "")
        .replace(/\s+/g, " ")
        .trim();
    } else if (heading !== undefined) {
      sections.push({ title: heading.replace(/ \(.*|[.:,].*$/, ""), rows: [] });
    } else {
      const value = limits[name as keyof typeof limits];
      sections.at(-1)?.rows.push([code(name!), amount(name!, value), comment]);
      comment = "";
    }
  }
  return sections;
}

function allLimits(): string {
  return limitSections()
    .map(({ title, rows }) => `### ${title}\n\n${rows.map(limitLine).join("\n")}`)
    .join("\n\n");
}

const unitPattern =
  /(^seconds|Bytes|Mebibytes|Ms|Seconds|Chars)(?:PerSecond|PerTurn|Held)?(?:Min|Max)?(?:Default)?$/;

/** A list, as a table would change in each line with its longest cell. */
function limitLine([name = "", value = "", comment = ""]: readonly string[]): string {
  return `- ${name}: ${value}${comment === "" ? "" : `. ${comment}`}`;
}

/** With the unit that the name ends with, apart from its Min, Max or Default. */
function amount(name: string, value: number): string {
  const unit = unitPattern.exec(name)?.[1]?.toLowerCase();
  if (unit === "bytes") return inBytes(value);
  if (unit === "mebibytes") return `${value} MiB`;
  if (unit === "ms") return inTime(value);
  if (unit === "seconds") return inTime(value * 1000);
  return unit === "chars" ? `${grouped(value)} characters` : grouped(value);
}

/** What most callers meet first, in words. */
function commonLimits(): string {
  const {
    payloadBytesMax,
    jsonDepthMax,
    definitionBytesMax,
    definitionActionsMax,
    definitionEdgesMax,
    definitionReferencesMax,
    definitionPartsMax,
    restPartsMax,
    rpcPartsMax,
    restBodyBytesMax,
    requestBytesMax,
    requestBodyMs,
    controlBodyBytesMax,
    responseMs,
    scriptMs,
    scriptMemoryBytes,
    expressionCharsMax,
    pollWaitSecondsMax,
    pollTasksMax,
    resultsPerCallMax,
    pollPairsMax,
    signalsBufferedMax,
    historyEntriesMax,
    retentionSecondsDefault,
    retentionFailedSecondsDefault,
  } = limits;
  const days = (seconds: number) => `${seconds / 86_400} days`;
  const rows = [
    [
      "a payload (input, parameters, output, signal)",
      `${inBytes(payloadBytesMax)} of JSON, ${jsonDepthMax} levels deep`,
    ],
    [
      "a definition",
      `${inBytes(definitionBytesMax)}, ${grouped(definitionActionsMax)} actions, ` +
        `${grouped(definitionEdgesMax)} edges, ${grouped(definitionReferencesMax)} references`,
    ],
    [
      "JSON values in a request; names of members count twice",
      `${grouped(definitionPartsMax)} in a definition, ${grouped(rpcPartsMax)} in a call of a ` +
        `worker, ${grouped(restPartsMax)} in another request`,
    ],
    [
      "a request",
      `${inBytes(restBodyBytesMax)} over REST, ${inBytes(requestBytesMax)} with results of ` +
        `tasks; ${inTime(requestBodyMs)} to arrive`,
    ],
    ["a request without a payload or definition", `${inBytes(controlBodyBytesMax)} over REST`],
    ["a response", `${inTime(responseMs)} for the client to read it`],
    [
      "a script",
      `${inTime(scriptMs)} of CPU time, ${inBytes(scriptMemoryBytes)} of memory, ` +
        `${grouped(expressionCharsMax)} characters of source`,
    ],
    [
      "a poll",
      `${inTime(pollWaitSecondsMax * 1000)} of waiting, ${grouped(pollTasksMax)} tasks, ` +
        `${grouped(resultsPerCallMax)} results, ${grouped(pollPairsMax)} pairs of queue and action`,
    ],
    [
      "signals that no `wait` has consumed",
      `${signalsBufferedMax} for each execution; the next one is refused with 429`,
    ],
    ["history of an execution", `the first ${grouped(historyEntriesMax)} entries, and its end`],
    [
      "retention of a finished execution",
      `${days(retentionSecondsDefault)}, failed ${days(retentionFailedSecondsDefault)}, or ` +
        "`retentionSeconds`; a full store shortens it",
    ],
  ];
  return table(["what", "limit"], rows);
}

/** By the name in the marker of a document. */
const tables: Readonly<Record<string, () => string | Promise<string>>> = {
  flags,
  routes,
  "api errors": apiErrors,
  failures,
  metrics,
  "common limits": commonLimits,
  "all limits": allLimits,
};

/** Each document as it is, and with its tables as the code gives them. */
export async function readDocuments(): Promise<{ path: string; text: string; wanted: string }[]> {
  const made = new Map<string, string>();
  for (const [name, make] of Object.entries(tables)) made.set(name, await make());
  const folder = join(root, "docs");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".md")).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const text = await readFile(path, "utf8");
      const marked = /(<!-- generated: ([a-z ]+) -->\n)[\s\S]*?(<!-- end -->)/g;
      const wanted = text.replace(marked, (_, begin: string, table: string, end: string) => {
        const rows = made.get(table);
        if (rows === undefined) throw new Error(`${path}: there is no table "${table}"`);
        return `${begin}\n${rows}\n\n${end}`;
      });
      return { path, text, wanted };
    }),
  );
}
