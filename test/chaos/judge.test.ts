/** The oracle of the chaos run sees what is wrong: each promise is broken once on purpose. */
import { expect, test } from "bun:test";
import { judge } from "./judge.ts";
import type { Kind, Shown } from "./kind.ts";
import type { Story } from "./ledger.ts";
import type { HistoryEntry } from "./oracle.ts";
import { kinds } from "./workflows.ts";

const kindOf = (name: string) => kinds.find((kind) => kind.name === name) as Kind;

function storyOf(name: string, more: Partial<Story> = {}): Story {
  const rest = { key: "k", n: 1, route: "a", signals: [], deeds: [], done: new Set<never>() };
  return { kind: kindOf(name), ...rest, ...more };
}

const startedAt = "2030-01-01T00:00:00.000Z";
const shown: Shown = {
  id: "e",
  status: "COMPLETED",
  startedAt,
  input: { n: 1, route: "a" },
  actions: [],
  data: {
    slow: { output: { n: 2, saw: null, run: "w/1" } },
    end: { output: { n: 3, saw: "w/1", run: "w/2" } },
  },
};
const history: readonly HistoryEntry[] = [
  { sequence: 1, kind: "execution.started" },
  { sequence: 2, kind: "action.completed", action: "slow" },
  { sequence: 3, kind: "action.completed", action: "end" },
  { sequence: 4, kind: "execution.completed" },
];

const problemsOf = (story: Story, view: Shown, entries = history) =>
  judge(story, view, entries, undefined).problems.join("; ");

test("what went as it should passes", () => {
  expect(judge(storyOf("slow"), shown, history, undefined)).toEqual({ problems: [], losses: [] });
});

test("a result that was applied twice is seen", () => {
  const twice = { ...shown, data: { ...shown.data, slow: { output: { n: 2, run: "w/9" } } } };
  expect(problemsOf(storyOf("slow"), twice)).toContain("end saw w/1, and slow is w/9");
  const entries = [...history.slice(0, 2), { ...history[1], sequence: 2.5 } as HistoryEntry];
  expect(problemsOf(storyOf("slow"), shown, [...entries, ...history.slice(2)])).toContain(
    "slow has completed 2 times",
  );
});

test("a wrong end, and what happens after the end, are seen", () => {
  const failed = { ...shown, status: "FAILED" };
  expect(problemsOf(storyOf("slow"), failed)).toContain("it is FAILED, not COMPLETED");
  const later = [...history, { sequence: 5, kind: "action.completed", action: "slow" }];
  expect(problemsOf(storyOf("slow"), shown, later)).toContain("comes after execution.completed");
  const story = storyOf("slow", { seenEnd: "FAILED" });
  expect(judge(story, shown, history, undefined).losses).toEqual([
    ["end", "it was FAILED, and is COMPLETED"],
  ]);
});

test("a lost signal is seen, and one that came too late is none", () => {
  const acknowledged = (ms: number) => {
    const signal = { event: "go", signalId: "k-go", acknowledgedAt: Date.parse(startedAt) + ms };
    return storyOf("wait", { signals: [signal] });
  };
  const data = { go: { output: { timedOut: true } }, end: { output: { n: 2 } } };
  const view = { ...shown, data };
  const lossesOf = (story: Story) => judge(story, view, history, undefined).losses;
  expect(lossesOf(acknowledged(1_000)).map(([what]) => what)).toEqual(["signal"]);
  expect(lossesOf(acknowledged(60_000))).toEqual([]);
});

test("an accepted result that is not there is seen", () => {
  const view = { ...shown, data: { rude: { output: { run: "rude/2" } } } };
  const rude = { sent: new Set(["rude/1", "rude/2"]), accepted: new Set(["rude/1"]) };
  const { losses } = judge(storyOf("rude"), view, history, rude);
  expect(losses).toEqual([["result", "rude/1 was accepted, and its output is rude/2"]]);
});
