/** signal actions: what they send, that they send it again, and what becomes of the answer. */
import { expect, test } from "bun:test";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import { World } from "../support/world.ts";

function run(action: object, input: unknown): World {
  const actions = [{ id: "s", type: "system", name: "signal", event: "go", ...action }];
  return new World({ name: "w", rootAction: "s", actions } as WorkflowDefinition, { input });
}

test("what is not confirmed is sent again as the same message, and answered once", () => {
  const world = run({ executionId: "$.input.id", payload: "$.input" }, { id: "other" });
  const sentAt = world.now;
  world.fireNext();
  world.fireNext();
  expect(world.messages.map((body) => JSON.parse(body))).toEqual(
    Array(3).fill({
      type: "signal",
      handout: 1,
      sentAt,
      event: "go",
      executionId: "other",
      payload: { id: "other" },
    }),
  );
  const sent = [{ executionId: "other", outcome: "accepted" as const }];
  const event = { type: "signal-sent" as const, handout: 1, sent };
  expect(world.send(event, event)).toEqual([{ type: "accepted" }, { type: "stale" }]);
  expect(world.output("s")).toEqual({ sent });
  expect(world.status).toBe("COMPLETED");
});

test("a refusal fails the action, and its details are what became of each target", () => {
  const world = run({ correlationId: "$.input" }, "all");
  const sent = [{ executionId: "other", outcome: "ended" as const }];
  world.send({ type: "signal-sent", handout: 1, sent, refusal: "None is open." });
  expect(world.execution.state.failure).toEqual({
    code: "SIGNAL_REFUSED",
    message: "None is open.",
    details: { sent },
    action: "s",
  });
});

test("names that are none fail the action before anything is sent", () => {
  const world = run({ executionId: "x", event: "{$.input}" }, "a\nb");
  expect(world.execution.state.failure?.code).toBe("INVALID_VALUE");
  expect(world.messages).toEqual([]);
});
