/** What a run came to, as tables. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Violation } from "./ledger.ts";

export interface Report {
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  /** Milliseconds until the next success, of each fault of a name. */
  readonly recoveries: ReadonlyMap<string, readonly number[]>;
  readonly executions: number;
  readonly checked: number;
  readonly statuses: ReadonlyMap<string, number>;
  readonly excused: ReadonlyMap<string, number>;
  readonly rudeAnswers: ReadonlyMap<string, number>;
  readonly repeatedCalls: number;
  /** Of a source. */
  readonly messages: string;
  readonly answersCut: number;
  readonly repairs: number;
  readonly handlerRuns: HandlerRuns;
  readonly violations: readonly Violation[];
}

export interface HandlerRuns {
  readonly runs: number;
  /** Beyond one for each attempt; the first attempt of a later run is one of them. */
  readonly duplicates: number;
}

/** Reads what the workers have written down. */
export function countRuns(folder: string): HandlerRuns {
  const attempts = new Set<string>();
  let runs = 0;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith("runs-")) continue;
    for (const line of readFileSync(join(folder, name), "utf8").split("\n")) {
      if (line === "") continue;
      runs += 1;
      attempts.add(line);
    }
  }
  return { runs, duplicates: runs - attempts.size };
}

function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
}

function recoveryRow(fault: string, times: readonly number[]) {
  return {
    fault,
    times: times.length,
    "recovery p50 ms": percentile(times, 0.5),
    "p99 ms": percentile(times, 0.99),
  };
}

function inWords(counts: ReadonlyMap<string, number>): string {
  const words = [...counts].sort().map(([name, count]) => `${count} ${name}`);
  return words.length === 0 ? "none" : words.join(", ");
}

export function printReport(report: Report): void {
  const { target, seed, seconds, recoveries, handlerRuns } = report;
  console.log(`Chaos on ${target}: ${seconds} seconds of faults, seed ${seed}.`);
  const rows = [...recoveries].map(([fault, times]) => recoveryRow(fault, times));
  console.table([...rows, recoveryRow("all", [...recoveries.values()].flat())]);
  const perMillion = (handlerRuns.duplicates * 1e6) / Math.max(1, handlerRuns.runs);
  console.table({
    "executions started": report.executions,
    "executions checked": report.checked,
    "statuses at the end": inWords(report.statuses),
    "handler runs": handlerRuns.runs,
    "duplicate runs per million": Math.round(perMillion),
    "messages of the source": report.messages,
    "answers of the store cut off": report.answersCut,
    "calls of clients repeated": report.repeatedCalls,
    "answers to the rude worker": inWords(report.rudeAnswers),
    "repairs by the sweeper": report.repairs,
    "lost in failovers (excused)": inWords(report.excused),
    violations: report.violations.length,
  });
}
