/** What is stored of an execution is read back as it was, in this format and the one before it. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeExecution, encodeState } from "../../../src/engine/stored/codec.ts";
import { nothingWritten, readRecord, writeRecord } from "../../../src/engine/stored/state.ts";
import {
  type ActionRecord,
  actionStatuses,
  type ExecutionState,
} from "../../../src/model/execution.ts";
import { currentFormat, oldestFormat } from "../../../src/model/format.ts";

const startedAt = 1_760_000_000_000;
const moment = fc.integer({ min: startedAt - 5_000, max: startedAt + 1e12 });
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const failure = fc.record(
  { code: text, message: text, details: fc.jsonValue(), action: text },
  { requiredKeys: ["code", "message"] },
);
const attempt = fc.record(
  {
    number: fc.nat(),
    handout: fc.nat(),
    nonce: text,
    worker: text,
    startedAt: moment,
    endedAt: moment,
    failure,
  },
  { requiredKeys: ["number", "handout", "endedAt"] },
);
const record: fc.Arbitrary<ActionRecord> = fc.record(
  {
    status: fc.constantFrom(...actionStatuses),
    edges: fc.record({ decided: fc.nat(), taken: fc.nat(), failed: fc.nat() }),
    startedAt: moment,
    endedAt: moment,
    handout: fc.nat(),
    attempt: fc.nat(),
    attempts: fc.array(attempt, { maxLength: 3 }),
    attemptsDropped: fc.nat(),
    totalUntil: moment,
    pausedMsThen: fc.nat(),
    timers: fc.array(text, { maxLength: 3 }),
    dueAt: moment,
    events: fc.array(text, { maxLength: 3 }),
    route: text,
    failure,
    skippedBy: fc.constantFrom("dead-path" as const, "failure" as const),
  },
  { requiredKeys: ["status"] },
);

const state: ExecutionState = {
  id: "e",
  workflow: "w",
  version: 3,
  correlationId: "ü",
  status: "PAUSED",
  run: 2,
  handout: 7,
  seed: 5,
  priority: -3,
  startedAt,
  pausedAt: startedAt + 5,
  pausedMs: 4,
  heldTimers: [{ id: "t", at: 1 }],
  ready: [4],
  closing: [5],
  open: 2,
  causes: ["c"],
  signals: [{ event: "s", sequence: 1, receivedAt: 9 }],
  signalSequence: 1,
  historySequence: 12,
  depth: 1,
  failure: { code: "A", message: "b" },
};

describe("what is stored of an execution", () => {
  test("any record comes back as it was", () => {
    fc.assert(
      fc.property(record, (given) => {
        const stored = JSON.parse(writeRecord(given, startedAt));
        expect(readRecord(stored, startedAt)).toEqual(JSON.parse(JSON.stringify(given)));
      }),
    );
  });

  test("the state comes back as it was, whatever is left out for being usual", () => {
    const usual: ExecutionState = {
      ...state,
      status: "RUNNING",
      run: 1,
      priority: 0,
      pausedMs: 0,
      open: 0,
      depth: 0,
      heldTimers: [],
      ready: [],
      closing: [],
      causes: [],
      signals: [],
      signalSequence: 0,
    };
    const records: ActionRecord[] = [{ status: "COMPLETED", endedAt: 5 }];
    for (const given of [state, usual]) {
      const read = decodeExecution(
        encodeState({ state: given, records }, currentFormat),
        new Map(),
      );
      expect(read).toEqual({ state: given, records, data: new Map() });
    }
    expect(encodeState({ state: usual, records }, currentFormat).length).toBeLessThan(250);
  });

  test("what was encoded in one format is encoded anew in another", () => {
    const written = nothingWritten();
    for (const format of [oldestFormat, currentFormat, oldestFormat]) {
      const text = encodeState({ state, records: [], written }, format);
      expect(JSON.parse(text)).toEqual({ ...JSON.parse(text), id: "e", stateVersion: format });
    }
  });

  test("the first format is read, a newer one is refused", () => {
    const first = { ...state, stateVersion: 1, records: { 3: { status: "WAITING", dueAt: 9 } } };
    const read = decodeExecution(JSON.stringify(first), new Map());
    expect(read.state).toEqual(state);
    expect(read.records).toEqual([
      undefined,
      undefined,
      undefined,
      { status: "WAITING", dueAt: 9 },
    ]);
    const newer = encodeState({ state, records: [] }, currentFormat + 1);
    expect(() => decodeExecution(newer, new Map())).toThrow(
      `written by a newer server (format ${currentFormat + 1}`,
    );
  });
});
