/** Whether one execution came to what it had to come to. */
import { checkDeeds } from "./deeds.ts";
import type { Shown } from "./kind.ts";
import type { RudeStory, Story } from "./ledger.ts";
import type { HistoryEntry } from "./oracle.ts";
import { waitSeconds } from "./workflows.ts";

export interface Verdict {
  /** What must never be. */
  readonly problems: readonly string[];
  /** What was acknowledged and is not so: kind and sentence. */
  readonly losses: readonly (readonly [what: string, sentence: string])[];
}

/** A signal that came so shortly before the end of its wait may have come too late. */
const narrowMs = 3_000;

export function judge(
  story: Story,
  shown: Shown,
  history: readonly HistoryEntry[],
  rude: RudeStory | undefined,
  ofChild: readonly HistoryEntry[] = [],
): Verdict {
  const problems = [...historyProblems(shown, history), ...linkProblems(story, shown)];
  const losses: [string, string][] = [];
  const { kind } = story;
  const isRight =
    shown.status === kind.ends || (kind.afterwards === "cancel" && !story.done.has("cancel"));
  if (!isRight && kind.afterwards === "cancel") losses.push(["cancel", `it is ${shown.status}`]);
  else if (!isRight) {
    const sentence = `it is ${shown.status}, not ${kind.ends}: ${JSON.stringify(shown.error)}`;
    // Where an operation is lost, its end is another one.
    if (story.deeds.length > 0) losses.push(["operation", sentence]);
    else problems.push(sentence);
  } else {
    const wrong = kind.check?.(shown);
    if (wrong !== undefined) problems.push(wrong);
  }
  if (story.seenEnd !== undefined && story.seenEnd !== shown.status) {
    losses.push(["end", `it was ${story.seenEnd}, and is ${shown.status}`]);
  }
  if (shown.input.n !== story.n) problems.push(`its input is that of ${shown.input.n}`);
  checkSignals(story, shown, { problems, losses });
  checkDeeds(story, shown, [...history, ...ofChild], { problems, losses });
  if (kind.name === "rude") checkRude(shown, rude, { problems, losses });
  return { problems, losses };
}

/** In each run: once it has ended nothing happens any more, and an action completes once. */
function historyProblems({ status }: Shown, history: readonly HistoryEntry[]): string[] {
  const problems: string[] = [];
  const completed = new Map<string, number>();
  let sequence = 0;
  let end: string | undefined;
  for (const entry of history) {
    if (entry.sequence <= sequence) problems.push(`entry ${entry.sequence} is there twice`);
    sequence = entry.sequence;
    if (entry.kind === "execution.retried" || entry.kind === "execution.rerun") {
      end = undefined;
      completed.clear();
    }
    if (end !== undefined && !entry.kind.startsWith("follow-up.")) {
      problems.push(`${entry.kind} comes after ${end}`);
    }
    if (/^execution\.(completed|failed|timed_out|cancelled)$/.test(entry.kind)) end = entry.kind;
    if (entry.kind === "action.completed" && entry.action !== undefined) {
      completed.set(entry.action, (completed.get(entry.action) ?? 0) + 1);
    }
  }
  if (end !== `execution.${status.toLowerCase()}`) problems.push(`its history ends with ${end}`);
  for (const [action, count] of completed) {
    if (count > 1) problems.push(`${action} has completed ${count} times`);
  }
  return problems;
}

function linkProblems({ kind }: Story, { data }: Shown): string[] {
  return (kind.links ?? []).flatMap(([reader, source]) => {
    const [saw, run] = [data[reader]?.output?.saw, data[source]?.output?.run];
    return saw === run && run !== undefined
      ? []
      : [`${reader} saw ${saw}, and ${source} is ${run}`];
  });
}

export interface Findings {
  readonly problems: string[];
  readonly losses: [string, string][];
}

function checkSignals({ signals }: Story, shown: Shown, { problems, losses }: Findings): void {
  const waitsUntil = Date.parse(shown.startedAt) + waitSeconds * 1_000;
  for (const { event, signalId, acknowledgedAt } of signals) {
    const output = shown.data[event]?.output;
    const from = output?.payload?.from;
    if (from !== undefined && from !== signalId) problems.push(`${event} was sent by ${from}`);
    const isInTime = acknowledgedAt !== undefined && acknowledgedAt < waitsUntil - narrowMs;
    if (from === undefined && isInTime) {
      losses.push(["signal", `the signal ${signalId} is lost: ${JSON.stringify(output)}`]);
    }
  }
}

/** Of all results that were sent, the one that was accepted is there. */
function checkRude(
  shown: Shown,
  rude: RudeStory | undefined,
  { problems, losses }: Findings,
): void {
  const run: string = shown.data.rude?.output?.run;
  if (rude?.sent.has(run) !== true) problems.push(`its output ${run} was never sent`);
  else if (rude.accepted.size > 0 && !rude.accepted.has(run)) {
    losses.push(["result", `${[...rude.accepted]} was accepted, and its output is ${run}`]);
  }
}
