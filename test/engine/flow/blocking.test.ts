/** Executions that began before format 4 keep the flow rule that they began with. */
import { describe, expect, test } from "bun:test";
import type { ActionSpec, JoinRule, WorkflowDefinition } from "../../../src/model/definition.ts";
import { World } from "../../support/world.ts";

const user = (id: string, rest: Partial<ActionSpec> = {}): ActionSpec => ({
  id,
  type: "user",
  name: "work",
  retry: { retryCount: 0 },
  ...rest,
});

const flow = (actions: ActionSpec[], rootAction: WorkflowDefinition["rootAction"]) =>
  ({ name: "w", rootAction, actions }) satisfies WorkflowDefinition;

const fallback = flow(
  [
    user("card", { next: { default: "ship" }, onError: { default: "paypal" } }),
    user("paypal", { next: { default: "ship" } }),
    user("ship"),
  ],
  "card",
);

describe("an edge that is dead by failure blocks", () => {
  test("a fallback does not ship, whatever the servers read meanwhile", () => {
    const world = new World(fallback, { format: 3 });
    world.fail("card");
    expect(world.record("ship")).toMatchObject({ status: "SKIPPED", skippedBy: "failure" });
    world.format = 4;
    world.complete("paypal");
    expect([world.status, world.statusOf("ship")]).toEqual(["COMPLETED", "SKIPPED"]);
    expect(world.execution.state.failuresTravel).toBeUndefined();
  });

  test("what begins in format 4 recovers", () => {
    const world = new World(fallback);
    world.fail("card");
    world.complete("paypal");
    expect(world.statusOf("ship")).toBe("SCHEDULED");
    expect(world.execution.state.failuresTravel).toBe(true);
  });

  test("a number that cannot be reached any more is skipped", () => {
    const two = (join: JoinRule) =>
      flow(
        [
          user("a", { next: { default: "j" }, onError: { default: [] } }),
          user("b", { next: { default: "j" } }),
          user("j", { join }),
        ],
        ["a", "b"],
      );
    const world = new World(two(2), { format: 3 });
    world.fail("a");
    expect(world.record("j")).toMatchObject({ status: "SKIPPED", skippedBy: "failure" });
    world.complete("b");
    expect(world.status).toBe("COMPLETED");
  });
});
