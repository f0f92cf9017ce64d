/** New runs: what an end has lost starts anew, what has been reached stands, nothing old has a say. */
import { describe, expect, test } from "bun:test";
import type { ActionDefinition, WorkflowDefinition } from "../../src/model/definition.ts";
import type { EventAnswer } from "../../src/model/event.ts";
import { World } from "../support/world.ts";

const user = (id: string, more: object = {}) => ({
  id,
  type: "user",
  name: id,
  retry: { retryCount: 0 },
  ...more,
});
const after = (...ids: string[]) => ({ next: { default: ids } });
const workflow = (rootAction: string | string[], actions: object[], more: object = {}) =>
  ({ name: "w", rootAction, actions, ...more }) as unknown as WorkflowDefinition;

const operate = (world: World, operation: "pause" | "resume" | "cancel" | "retry"): EventAnswer =>
  world.send({ type: "operation", operation })[0]!;

const statuses = (world: World, ...keys: string[]) => keys.map((key) => world.statusOf(key));

describe("retry", () => {
  test("starts anew what failed and was cancelled, and keeps what was reached and handled", () => {
    const world = new World(
      workflow(
        ["done", "handled", "optional", "bad", "open", "wait", "answered", "delay"],
        [
          user("done", after("later")),
          user("handled", { onError: { default: "mended" }, ...after("unreached") }),
          user("mended"),
          user("unreached"),
          user("optional", { optional: true }),
          user("bad", after("later")),
          user("open"),
          { id: "wait", type: "system", name: "wait", event: "go" },
          { id: "answered", type: "system", name: "wait", event: "early" },
          { id: "delay", type: "system", name: "delay", delaySeconds: 60 },
          user("later"),
        ],
        { timeoutSeconds: 100 },
      ),
    );
    world.complete("done", { n: 1 });
    world.send({ type: "signal", event: "early", payload: "7" });
    world.fail("handled");
    world.complete("mended");
    world.fail("optional");
    const stale = world.task("open");
    const token = world.tokenOf(stale);
    world.now += 10_000;
    world.fail("bad");
    expect(world.status).toBe("FAILED");
    const all = ["done", "handled", "mended", "unreached", "optional", "answered"];
    const before = all.map((key) => world.record(key));
    expect(operate(world, "retry")).toEqual({ type: "accepted" });

    expect(world.execution.state).toMatchObject({ status: "RUNNING", run: 2 });
    for (const gone of ["endedAt", "failure", "cancelReason"]) {
      expect(world.execution.state).not.toHaveProperty(gone);
    }
    expect(all.map((key) => world.record(key))).toEqual(before);
    expect(statuses(world, "bad", "open", "wait", "delay", "later")).toEqual([
      ...["SCHEDULED", "SCHEDULED", "WAITING", "WAITING", "PENDING"],
    ]);
    expect([world.tasks.size, world.timers.has("retention")]).toEqual([2, false]);
    expect(world.timers.get("timeout:2")).toBe(world.now + 100_000);
    expect([...world.timers.keys()].some((id) => id.startsWith("delay:1:"))).toBe(false);
    // The older run has no say any more.
    const outcome = { ok: true, output: "1" } as const;
    expect(world.send({ type: "result", taskId: stale.id, token, outcome })[0]!.type).toBe("stale");
    expect(world.complete("bad", { n: 2 }).type).toBe("accepted");
    expect(world.output("done")).toEqual({ n: 1 });
    world.complete("open");
    world.send({ type: "signal", event: "go", payload: "8" });
    world.complete("later");
    world.fireNext();
    expect([world.status, world.output("wait")]).toEqual([
      "COMPLETED",
      { event: "go", payload: 8 },
    ]);
  });

  test("goes on with what was ready, or had just ended, when the execution ended", () => {
    const world = new World(
      workflow(
        ["a", "b"],
        [user("a", after("c")), user("b", after("join")), user("c", after("join")), user("join")],
      ),
    );
    const result = (key: string, isGood: boolean) => {
      const task = world.task(key);
      const failure = { code: "BROKEN", message: "it broke" };
      const outcome = isGood
        ? ({ ok: true, output: "{}" } as const)
        : ({ ok: false, failure, retryable: false } as const);
      return { type: "result", taskId: task.id, token: world.tokenOf(task), outcome } as const;
    };
    // In one decision: what the first has made ready has not started when the second ends it all.
    world.send(result("a", true), result("b", false));
    expect([world.status, world.statusOf("c")]).toEqual(["FAILED", "PENDING"]);
    operate(world, "retry");
    expect(statuses(world, "a", "b", "c")).toEqual(["COMPLETED", "SCHEDULED", "SCHEDULED"]);
    world.complete("b");
    world.complete("c");
    world.complete("join");
    expect(world.status).toBe("COMPLETED");
  });

  test("of very many, in the same batch as the end, in portions", () => {
    const ids = Array.from({ length: 150 }, (_, i) => `u${i}`);
    const rules = { totalTimeoutSeconds: 50 };
    const world = new World(
      workflow(
        ids,
        ids.map((id) => user(id, rules)),
      ),
    );
    const before = new Set(world.tasks.keys());
    const failure = { code: "BROKEN", message: "it broke" };
    const task = world.task("u0");
    const token = world.tokenOf(task);
    const outcome = { ok: false, failure, retryable: false } as const;
    const answers = world.send(
      { type: "result", taskId: task.id, token, outcome },
      { type: "operation", operation: "retry" },
      { type: "operation", operation: "pause" },
    );
    expect(answers.map(({ type }) => type)).toEqual(["accepted", "accepted", "accepted"] as never);
    operate(world, "resume");
    expect([world.status, world.tasks.size, world.timers.size]).toEqual(["RUNNING", 150, 150]);
    for (const id of world.tasks.keys()) expect(before.has(id)).toBe(false);
    for (const id of ids) world.complete(id);
    expect(world.status).toBe("COMPLETED");
  });

  test("of a cancelled and of a timed out execution, also when it was paused", () => {
    const world = new World(workflow("a", [user("a")], { timeoutSeconds: 5 }));
    operate(world, "pause");
    operate(world, "cancel");
    operate(world, "retry");
    expect([world.status, world.held, world.statusOf("a")]).toEqual([
      ...["RUNNING", false, "SCHEDULED"],
    ]);
    world.fireNext();
    expect([world.status, world.statusOf("a")]).toEqual(["TIMED_OUT", "CANCELLED"]);
    operate(world, "retry");
    expect([world.status, world.timers.get("timeout:3")]).toEqual(["RUNNING", world.now + 5_000]);
    world.complete("a");
    expect(world.status).toBe("COMPLETED");
  });

  test("of a result that was too large: it is made again", () => {
    const registered: Record<string, ActionDefinition> = {};
    const world = new World(workflow("a", [user("a")], { output: ["$.a.output", "$.a.output"] }), {
      registered,
    });
    world.complete("a", "x".repeat(2_000_000));
    expect(world.execution.state.failure?.code).toBe("TOO_LARGE");
    operate(world, "retry");
    expect([world.status, world.execution.state.run]).toEqual(["FAILED", 2]);
  });

  test("each end has one follow-up; what became of an earlier one says nothing of this one", () => {
    const world = new World(workflow("a", [user("a")], { onFailure: { workflow: "next" } }));
    world.fail("a");
    operate(world, "retry");
    world.send({ type: "outbox", id: "follow-up:1", failure: "gone" });
    expect(world.execution.state.followUpFailure).toBeUndefined();
    world.fail("a");
    expect(world.messages.map((body) => JSON.parse(body).run)).toEqual([1, 2]);
    world.send({ type: "outbox", id: "follow-up:2", failure: "gone" });
    expect(world.execution.state.followUpFailure).toBe("gone");
  });

  test("is refused in other statuses, after terminate, and before format 4", () => {
    const world = new World(workflow("a", [user("a")]));
    const type = () => operate(world, "retry").type;
    expect(type()).toBe("invalid-state");
    operate(world, "pause");
    expect(type()).toBe("invalid-state");
    operate(world, "resume");
    world.complete("a");
    expect(type()).toBe("invalid-state");
    const terminate = { id: "t", type: "system", name: "terminate", status: "FAILED" };
    expect(operate(new World(workflow("t", [terminate])), "retry")).toEqual({
      type: "invalid-state",
      message: "The action t has terminated the execution; use rerun from an action before it.",
      actionStatus: "COMPLETED",
    });
    const old = new World(workflow("a", [user("a")]), { format: 3 });
    old.fail("a");
    expect(operate(old, "retry").type).toBe("unread");
  });
});
