/** What a step of a long workflow writes, and that all of it is read back. */
import { describe, expect, test } from "bun:test";
import { begin, decide } from "../../src/engine/decide.ts";
import {
  advance,
  decodeExecution,
  encodeState,
  recordFields,
} from "../../src/engine/stored/codec.ts";
import { compilePlan } from "../../src/language/plan.ts";
import type { Decision } from "../../src/model/decision.ts";
import type { Execution } from "../../src/model/execution.ts";
import { currentFormat, oldestFormat } from "../../src/model/format.ts";
import { formatToken, tokenPrefix } from "../../src/model/ids.ts";
import { executionId } from "../support/world.ts";

const now = 1_760_000_000_000;

interface Run {
  readonly execution: Execution;
  /** Characters of the state and of chunks of records, by step. */
  readonly written: readonly number[];
}

/** Runs a chain of user actions, `formatAt(step)` being what may be written then. */
function runChain(length: number, formatAt: (step: number) => number): Run {
  const actions = Array.from({ length }, (_, at) => ({
    id: at,
    type: "user",
    name: "work",
    ...(at + 1 < length && { next: { default: at + 1 } }),
  }));
  const plan = compilePlan({ name: "chain", rootAction: 0, actions } as never, 1);
  const written: number[] = [];
  const surroundings = () => {
    return { plan, now, format: formatAt(written.length), registered: () => undefined };
  };
  const start = { id: executionId, input: "{}", seed: 1 };
  let decision = begin({ ...surroundings(), ...start }) as Decision;
  let execution: Execution = { state: decision.state, records: [], data: new Map() };
  for (;;) {
    const records = [...decision.data].filter(([name]) => name.startsWith("records:"));
    const chars = records.reduce((sum, [, text]) => sum + text!.length, 0);
    written.push(encodeState(decision, formatAt(written.length)).length + chars);
    execution = advance(execution, decision);
    const [task] = decision.effects.tasks;
    if (task === undefined) return { execution, written };
    const token = formatToken(tokenPrefix(now, "nonce"), task.id);
    const outcome = { ok: true as const, output: '{"value":1}' };
    const event = { type: "result" as const, taskId: task.id, token, outcome };
    decision = decide(execution, [event], surroundings()) as Decision;
  }
}

function readBack({ state, records, data, written }: Execution, format: number): Execution {
  const names = new Set<string>(recordFields(state));
  const loaded = new Map([...data].filter(([name]) => names.has(name)));
  const stored = { state, records, ...(written && { written }) };
  return decodeExecution(encodeState(stored, format), loaded);
}

describe("a step of a chain of 1,000 actions", () => {
  test("writes little more than one of a chain of 10", () => {
    const short = runChain(10, () => currentFormat);
    const long = runChain(1_000, () => currentFormat);
    expect(long.execution.state.status).toBe("COMPLETED");
    expect(long.written.length).toBe(1_001);
    expect(Math.max(...long.written)).toBeLessThan(2.5 * Math.max(...short.written));
  });

  test.each([
    ["in the format before", () => oldestFormat],
    ["in this format", () => currentFormat],
    ["in the next format from some step on", (step: number) => (step < 500 ? 2 : currentFormat)],
  ])("is read back whole, written %s", (_, formatAt) => {
    const { execution } = runChain(1_000, formatAt);
    const again = readBack(execution, formatAt(1_000));
    expect(again.records).toEqual(execution.records);
    expect(again.state).toEqual(execution.state);
  });

  test("knows the length of its data without counting it again", () => {
    const { execution } = runChain(200, () => currentFormat);
    const counted = [...execution.data.values()].reduce((sum, text) => sum + text.length, 0);
    expect(execution.dataChars).toBe(counted);
  });
});

test("the format before keeps the first records in the state, as its servers expect them", () => {
  const { execution } = runChain(130, () => oldestFormat);
  const state = JSON.parse(encodeState(execution, oldestFormat));
  expect(Object.keys(state.records).length).toBe(64);
  expect([state.recordChunks, state.chunkActions]).toEqual([3, undefined]);
  expect(recordFields(execution.state)).toEqual(["records:1", "records:2"]);
});
