import { expect, test } from "bun:test";
import fc from "fast-check";
import { HistoryWriter, readHistory } from "../../../src/engine/stored/history.ts";
import type { HistoryEntry } from "../../../src/model/entry.ts";

const kinds = fc.constantFrom(
  "action.scheduled",
  "execution.started",
  "history.thinned",
  "new.kind",
);

/** Entries of one commit, in order; now and then a sequence is left out. */
const commits = fc
  .array(
    fc.record(
      {
        gap: fc.constantFrom(1, 1, 1, 7),
        kind: kinds,
        action: fc.constantFrom("1", "ship-it"),
        attempt: fc.integer({ min: 1, max: 9 }),
        details: fc.jsonValue(),
        who: fc.constantFrom('on "call"', "ops"),
      },
      { requiredKeys: ["gap", "kind"] },
    ),
    { minLength: 1 },
  )
  .map((items) => {
    let sequence = 4;
    return items.map(({ gap, details, who, ...rest }): HistoryEntry => {
      sequence += gap;
      const entry = { sequence, at: 1_795_000_000_000, ...rest };
      const hasDetails = details !== undefined && !(details === null && who !== undefined);
      return { ...entry, ...(hasDetails && { details }), ...(who !== undefined && { who }) };
    });
  });

test("what was written is read", () => {
  fc.assert(
    fc.property(commits, (entries) => {
      const writer = new HistoryWriter(entries[0]!.at);
      for (const { sequence, kind, details, ...of } of entries) {
        const text = details === undefined ? undefined : JSON.stringify(details);
        writer.add(sequence, kind, of, text);
      }
      const [text, ...more] = writer.finish();
      expect(more).toEqual([]);
      // As JSON: -0 becomes 0 on the way.
      expect(JSON.stringify(readHistory(text!))).toBe(JSON.stringify(entries));
    }),
  );
});

test("a step takes little room", () => {
  const writer = new HistoryWriter(1_795_573_860_839);
  writer.add(3, "action.completed", { action: "1", attempt: 1 });
  writer.add(4, "action.scheduled", { action: "2", attempt: 1 });
  expect(writer.finish()).toEqual(['[3,1795573860839,[2,"1",1],[1,"2",1]]']);
});

test("nothing written is no text", () => {
  expect(new HistoryWriter(1).finish()).toEqual([]);
});

test("the first format is read as it was shown", () => {
  const entries = [
    { sequence: 1, at: 5, kind: "execution.started", details: { version: 1 } },
    { sequence: 2, at: 5, kind: "action.scheduled", action: "1", attempt: 1 },
  ];
  expect(readHistory(JSON.stringify(entries))).toEqual(entries);
});
