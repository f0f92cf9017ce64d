import { describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { cut } from "../../src/language/data/cut.ts";
import { World } from "../support/world.ts";

const huge = "é\u{1f600}".repeat(900_000);
const most = limits.errorMessageCharsMax;

function worldOf(action: object, input: unknown = huge): World {
  const actions = [{ id: 1, ...action }];
  return new World({ name: "w", rootAction: 1, actions } as never, { input });
}

describe("messages", () => {
  test.each([
    { type: "system", name: "switch", expression: "$.input", next: { other: [] } },
    { type: "system", name: "delay", delaySeconds: "$.input" },
    { type: "system", name: "delay", until: "$.input" },
    { type: "system", name: "wait", event: "e", timeoutSeconds: "$.input" },
    { type: "user", name: "work", parameters: "$.input" },
    {
      type: "system",
      name: "transform",
      strict: true,
      parameters: { a: `$.input${".a".repeat(60)}` },
    },
  ])("of a failed $name hold little of the data", (action) => {
    const { state, records } = worldOf(action).execution;
    expect(state.status).toBe("FAILED");
    expect(state.failure!.message.length).toBeLessThanOrEqual(300);
    expect(records[0]!.failure!.message).toBe(state.failure!.message);
  });

  test("of scripts, workers and operations are bounded", () => {
    const failing = { ok: false as const, failure: { code: "BROKEN", message: huge } };
    const world = worldOf({ type: "user", name: "work", retry: { retryCount: 1 } });
    world.finish("1", { ...failing, retryable: true });
    expect(world.record("1")!.attempts![0]!.failure!.message.length).toBe(most);
    world.fireNext();
    world.finish("1", { ...failing, retryable: true });
    expect(world.execution.state.failure!.message.length).toBe(most);

    const script = worldOf({ type: "system", name: "javascript", expression: "0" });
    const { handout } = script.scripts[0]!;
    const outcome = { ok: false as const, code: "SCRIPT_ERROR" as const, message: huge };
    script.send({ type: "script", handout, outcome });
    expect(script.execution.state.failure!.message.length).toBe(most);

    const cancelled = worldOf({ type: "system", name: "wait", event: "e" });
    cancelled.send({ type: "operation", operation: "cancel", reason: huge });
    expect(cancelled.execution.state.cancelReason!.length).toBe(most);
    cancelled.send({ type: "outbox", id: "follow-up:1", failure: huge });
    expect(cancelled.execution.state.followUpFailure!.length).toBe(most);
  });

  test("details of earlier attempts are kept while they are small", () => {
    const attemptsWith = (details: unknown) => {
      const world = worldOf({ type: "user", name: "work", retry: { retryCount: 3, jitter: 0 } });
      const failure = { code: "BROKEN", message: "it broke", details };
      for (let attempt = 0; attempt < 4; attempt++) {
        world.finish("1", { ok: false, failure, retryable: true });
        world.fireNext();
      }
      return world.record("1")!.attempts!.map((attempt) => attempt.failure!.details);
    };
    expect(attemptsWith({ a: 1 })).toEqual([{ a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }]);
    const large = "x".repeat(limits.errorDetailsBytesMax - 100);
    expect(attemptsWith(large)).toEqual([undefined, undefined, large, large]);
  });

  test("are cut between characters", () => {
    expect(cut("abc", 3)).toBe("abc");
    expect(cut("abcd", 3)).toBe("ab…");
    expect(cut("a\u{1f600}bc", 3)).toBe("a…");
  });
});
