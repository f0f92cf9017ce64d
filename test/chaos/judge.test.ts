/** The oracle of the chaos run sees what is wrong: each promise is broken once on purpose. */
import { expect, test } from "bun:test";
import { judgeFamily, judgeFork } from "./families.ts";
import { judge } from "./judge.ts";
import type { Kind, Shown } from "./kind.ts";
import type { Story } from "./ledger.ts";
import type { HistoryEntry } from "./oracle.ts";
import { judgeMessages } from "./source.ts";
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

/** An action that was completed by hand, once or more often. */
function byHand(entries: number, isAcknowledged = true) {
  const deed = { operation: "complete", operationId: "k-complete", isAcknowledged };
  const story = storyOf("hand-wait", { deeds: [deed] });
  const actions = [
    { id: "hold", status: "COMPLETED" },
    { id: "done", status: "COMPLETED" },
    { id: "instead", status: "SKIPPED" },
  ];
  const view = { ...shown, actions, data: { done: { output: { n: 2, saw: "k-complete" } } } };
  const entry = { kind: "operation.complete", details: { reason: "k-complete" } };
  const done = Array.from({ length: entries }, (_, at) => ({ ...entry, sequence: at + 2 }));
  const end = { sequence: entries + 2, kind: "execution.completed" };
  return judge(story, view, [history[0] as HistoryEntry, ...done, end], undefined);
}

test("an operation that was done twice, and one that is lost, are seen", () => {
  expect(byHand(1)).toEqual({ problems: [], losses: [] });
  expect(byHand(0, false)).toEqual({ problems: [], losses: [] });
  expect(byHand(2).problems).toEqual(["k-complete was done 2 times"]);
  expect(byHand(0).losses).toEqual([["operation", "k-complete is lost"]]);
});

test("a run that was not begun again, and an item that was, are seen", () => {
  const rerun = storyOf("rerun", { deeds: [], kept: new Map([[0, { n: 1 }]]) });
  const data = { map: { output: { results: [{ n: 2 }] } } };
  const { losses } = judge(rerun, { ...shown, data }, history, undefined);
  expect(losses.map(([what]) => what)).toEqual(["run", "run", "run", "item"]);
});

test("children that are lost, go on alone, or whose results were not taken, are seen", () => {
  const child = (action: string, more: Partial<Shown>): Shown => {
    return { ...shown, id: `${action}-child`, parent: { id: "e", action }, ...more };
  };
  const parent = { ...shown, data: { named: { output: 1 }, within: { output: 2 } } };
  const story = storyOf("family");
  const all = [
    child("named", { result: 1 }),
    child("within", { result: 2 }),
    child("apart", { result: 3 }),
  ];
  expect(judgeFamily(story, parent, all)).toEqual([]);
  expect(judgeFamily(story, parent, all.slice(1))).toEqual([
    "named has started 0 executions, not 1",
  ]);
  expect(judgeFamily(story, parent, [...all.slice(1), child("named", { result: 9 })])).toEqual([
    "it has 1 of named-child, whose result is 9",
  ]);
  const ended = storyOf("terminate");
  expect(judgeFamily(ended, parent, [child("named", { status: "RUNNING" })])).toEqual([
    "its child named-child is RUNNING",
  ]);
  expect(judgeFamily(ended, parent, [])).toEqual([]);
});

test("a fork that changed what it took over, or did not run, is seen", () => {
  const of = (s1: string, s2: string) => ({
    s0: { output: { run: "w/0" } },
    s1: { output: { run: s1 } },
    s2: { output: { saw: "w/1", run: s2 } },
  });
  const original = { ...shown, data: of("w/1", "w/2") };
  expect(judgeFork(original, { ...shown, id: "f", data: of("w/1", "w/3") })).toEqual([]);
  expect(judgeFork(original, { ...shown, id: "f", data: of("w/9", "w/2") })).toEqual([
    "its fork f has another output of s1",
    's2 of its fork put out {"saw":"w/1","run":"w/2"}',
  ]);
});

test("a message that is lost, doubled, made up or buried wrongly is seen", () => {
  const sent = { good: new Set(["a", "b"]), poison: new Set(["{"]), letters: new Set(["{"]) };
  const of = (...keys: readonly string[]) =>
    keys.map((correlationId) => ({ status: "COMPLETED", correlationId }));
  expect(judgeMessages(sent, of("a", "b"))).toEqual([]);
  expect(judgeMessages(sent, of("a"))).toEqual(["1 messages have started nothing: b"]);
  const doubled = "1 messages have started several executions: b";
  expect(judgeMessages(sent, of("a", "b", "b"))).toEqual([doubled]);
  const madeUp = "1 executions were started by no message: c";
  expect(judgeMessages(sent, of("a", "b", "c"))).toEqual([madeUp]);
  const running = [...of("a"), { status: "RUNNING", correlationId: "b" }];
  expect(judgeMessages(sent, running)).toEqual(["1 executions have not completed: b"]);
  const lost = "1 poison messages are not in the dead letters: {";
  expect(judgeMessages({ ...sent, letters: new Set() }, of("a", "b"))).toEqual([lost]);
  const wrong = "1 dead letters could have been handled: b";
  expect(judgeMessages({ ...sent, letters: new Set(["{", "b"]) }, of("a", "b"))).toEqual([wrong]);
});
