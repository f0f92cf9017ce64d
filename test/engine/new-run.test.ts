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
      message:
        "The action t has terminated the execution; begin at an action before it, with rerun or fork.",
      actionStatus: "COMPLETED",
    });
    const old = new World(workflow("a", [user("a")]), { format: 3 });
    old.fail("a");
    expect(operate(old, "retry").type).toBe("unread");
  });
});

describe("retry of a map", () => {
  const map = (more: object = {}) =>
    workflow("m", [
      {
        id: "m",
        type: "system",
        name: "map",
        items: "$.input.items",
        action: "work",
        parameters: { n: "$.item" },
        retry: { retryCount: 0 },
        maxConcurrency: 3,
        ...more,
      },
      user("beside"),
    ]);
  const input = { items: [0, 1, 2, 3, 4, 5, 6] };

  const items = (world: World) =>
    [...world.tasks.values()].map(({ parameters }) => JSON.parse(parameters).n as number);

  /** Ends the item with this number. */
  const end = (world: World, item: number, isGood: boolean) => {
    const task = [...world.tasks.values()].find(
      ({ parameters }) => JSON.parse(parameters).n === item,
    )!;
    const failure = { code: "BROKEN", message: "it broke" };
    const outcome = isGood
      ? ({ ok: true, output: `${item * 10}` } as const)
      : ({ ok: false, failure, retryable: false } as const);
    world.send({ type: "result", taskId: task.id, token: world.tokenOf(task), outcome });
  };

  test("repeats the items that failed or were cancelled, and no others", () => {
    const world = new World(map({ tolerate: 1 }), { input });
    end(world, 0, true);
    end(world, 1, false);
    end(world, 2, true);
    expect(items(world)).toEqual([3, 4, 5]);
    end(world, 4, false);
    expect([world.status, world.statusOf("m"), world.tasks.size]).toEqual(["FAILED", "FAILED", 0]);
    operate(world, "retry");
    expect([world.statusOf("m"), items(world)]).toEqual(["WAITING", [1, 3, 4]]);
    end(world, 4, false);
    end(world, 1, true);
    for (const item of [3, 5, 6]) end(world, item, true);
    expect(world.status).toBe("COMPLETED");
    expect(world.output("m")).toMatchObject({
      results: [0, 10, 20, 30, null, 50, 60],
      failures: [{ index: 4, error: { code: "BROKEN" } }],
    });
  });
});

describe("rerun", () => {
  const rerun = (world: World, action: string, parameters?: unknown): EventAnswer => {
    const given = parameters === undefined ? {} : { parameters: JSON.stringify(parameters) };
    return world.send({ type: "operation", operation: "rerun", action, ...given })[0]!;
  };

  test("resets the action and all after it, and starts it with other parameters", () => {
    const retry = { retryCount: 1, retryAfterSeconds: 1, jitter: 0 };
    const world = new World(
      workflow(
        ["first", "beside"],
        [
          user("first", { parameters: { n: 1 }, ...after("second") }),
          user("second", { parameters: { n: "$.first.output.n" }, retry, ...after("third") }),
          user("third", { parameters: { n: "$.second.output.n" } }),
          user("beside"),
        ],
        { output: "$.third.output" },
      ),
    );
    world.complete("beside", { kept: true });
    world.complete("first", { n: 2 });
    world.complete("second", { n: 3 });
    world.complete("third", 4);
    expect(rerun(world, "second", { n: 30 })).toEqual({ type: "accepted" });
    expect(world.execution.state).toMatchObject({ status: "RUNNING", run: 2 });
    for (const gone of ["output:second", "output:third", "result"]) {
      expect(world.execution.data.has(gone)).toBe(false);
    }
    expect(statuses(world, "first", "second", "third", "beside")).toEqual([
      ...["COMPLETED", "SCHEDULED", "PENDING", "COMPLETED"],
    ]);
    // All its attempts, and those of a retry of the execution, have what was given.
    for (const fail of [true, true, false]) {
      expect(JSON.parse(world.task("second").parameters)).toEqual({ n: 30 });
      if (fail) world.fail("second");
      if (world.status === "FAILED") operate(world, "retry");
      else if (fail) world.fireNext();
    }
    world.complete("second", { n: 31 });
    expect(JSON.parse(world.task("third").parameters)).toEqual({ n: 31 });
    world.complete("third", 5);
    expect([world.status, world.execution.data.get("result")]).toEqual(["COMPLETED", "5"]);
    rerun(world, "first");
    expect(JSON.parse(world.task("first").parameters)).toEqual({ n: 1 });
    world.complete("first", { n: 6 });
    expect(JSON.parse(world.task("second").parameters)).toEqual({ n: 6 });
    expect([...world.execution.data.keys()].some((name) => name.startsWith("parameters:"))).toBe(
      false,
    );
  });

  test("of a paused one drops what it resets, and leaves alone what is open elsewhere", () => {
    const total = { totalTimeoutSeconds: 600 };
    const world = new World(
      workflow(
        ["a", "open", "slow"],
        [
          user("a", after("delay", "wait", "b")),
          { id: "delay", type: "system", name: "delay", delaySeconds: 60 },
          { id: "wait", type: "system", name: "wait", event: "go", timeoutSeconds: 90 },
          user("b", total),
          user("open", total),
          user("slow", { retry: { retryCount: 3, retryAfterSeconds: 5, jitter: 0 } }),
        ],
        { timeoutSeconds: 1_000 },
      ),
    );
    world.complete("a");
    world.fail("slow");
    const open = world.task("open");
    const old = world.task("b");
    operate(world, "pause");
    world.now += 500_000;
    expect(rerun(world, "a").type).toBe("accepted");
    expect([world.status, world.held, world.execution.state.run]).toEqual(["RUNNING", false, 2]);
    expect(statuses(world, "a", "delay", "wait", "b", "open", "slow")).toEqual([
      ...["SCHEDULED", "PENDING", "PENDING", "PENDING", "SCHEDULED", "RETRYING"],
    ]);
    expect(world.task("open")).toBe(open);
    // Of the reset actions nothing is left, of the others their timers are, and a fresh timeout.
    const kinds = [...world.timers.keys()].map((id) => `${id.split(":")[0]} ${id.split(":")[3]}`);
    expect(kinds.toSorted()).toEqual(["retry slow", "timeout undefined", "total open"]);
    expect(world.timers.get("timeout:2")).toBe(world.now + 1_000_000);
    const stale = { taskId: old.id, token: world.tokenOf(old) };
    const outcome = { ok: true, output: "1" } as const;
    expect(world.send({ type: "result", ...stale, outcome })[0]!.type).toBe("stale");
    world.complete("a");
    expect(world.complete("open").type).toBe("accepted");
    world.fireNext();
    expect(world.statusOf("slow")).toBe("SCHEDULED");
    world.complete("slow");
    world.complete("b");
    world.send({ type: "signal", event: "go", payload: "1" });
    world.fireNext();
    expect(world.status).toBe("COMPLETED");
  });

  test("of very many open actions, in portions", () => {
    const ids = Array.from({ length: 150 }, (_, i) => `u${i}`);
    const actions = ids.map((id) => user(id, { totalTimeoutSeconds: 50 }));
    const world = new World(workflow("root", [user("root", after(...ids)), ...actions]));
    world.complete("root");
    const before = [...world.tasks.keys()];
    operate(world, "pause");
    expect(rerun(world, "root").type).toBe("accepted");
    expect([world.tasks.size, world.timers.size]).toEqual([1, 0]);
    world.complete("root");
    expect([world.tasks.size, world.timers.size]).toEqual([150, 150]);
    for (const id of before) expect(world.tasks.has(id)).toBe(false);
    for (const id of ids) world.complete(id);
    expect(world.status).toBe("COMPLETED");
  });

  test("mends a join that was not met, which a retry cannot", () => {
    const world = new World(
      workflow(
        ["a", "b"],
        [
          user("a", { onError: { default: [] }, ...after("join") }),
          user("b", after("join")),
          user("join", { join: 2 }),
        ],
      ),
    );
    world.fail("a");
    world.complete("b");
    expect(world.execution.state.failure?.code).toBe("JOIN_NOT_MET");
    expect(operate(world, "retry")).toMatchObject({
      message:
        "The join of the action join is still not met; begin at an action before it, with rerun or fork.",
    });
    expect(rerun(world, "b").type).toBe("accepted");
    world.complete("b");
    expect(world.execution.state.failure?.code).toBe("JOIN_NOT_MET");
    rerun(world, "a");
    world.complete("a");
    world.complete("join");
    expect(world.status).toBe("COMPLETED");
  });

  test("of a map repeats all items, and none of its old fields is left", () => {
    const map = { id: "m", type: "system", name: "map", items: "$.a.output", action: "work" };
    const world = new World(workflow("a", [user("a", after("m")), map]));
    const start = (count: number) =>
      world.complete(
        "a",
        Array.from({ length: count }, (_, n) => ({ n })),
      );
    const finish = (output: unknown) => {
      for (const { id } of [...world.tasks.values()]) {
        const outcome = { ok: true, output: JSON.stringify(output) } as const;
        world.send({ type: "result", taskId: id, token: `0.n.${id}`, outcome });
      }
    };
    const fieldsOfItems = () => [...world.stored.keys()].filter((name) => name.includes(":m:"));
    const long = "long".repeat(100);
    start(400);
    finish(long);
    expect([world.tasks.size, fieldsOfItems().length]).toEqual([100, 7 + 13 + 100]);
    operate(world, "pause");
    expect(rerun(world, "a").type).toBe("accepted");
    expect(world.tasks.size).toBe(1);
    expect(fieldsOfItems()).toEqual([]);
    start(2);
    finish(2);
    expect(world.output("m")).toEqual({ results: [2, 2], failures: [] });
    // Also of one that has ended.
    rerun(world, "a");
    expect(fieldsOfItems()).toEqual([]);
    start(1);
    finish(3);
    expect(world.output("m")).toEqual({ results: [3], failures: [] });
  });

  test("of a map takes as many commits as it needs, and others may come in between", () => {
    const map = { id: "m", type: "system", name: "map", items: "$.input", workflow: "w" };
    const input = Array.from({ length: 100 }, (_, n) => n);
    const world = new World(workflow("m", [map]), { input, versions: { w: 1 } });
    operate(world, "pause");
    const answers = world.send(
      { type: "operation", operation: "rerun", action: "m" },
      { type: "operation", operation: "pause" },
      { type: "operation", operation: "resume" },
      { type: "operation", operation: "cancel" },
    );
    expect(answers.map(({ type }) => type)).toEqual(Array(4).fill("accepted"));
    const typed = (type: string) => world.messages.filter((body) => JSON.parse(body).type === type);
    const started = typed("start-child").length;
    expect(typed("cancel-child").length).toBe(started);
    expect([world.status, [...world.timers.keys()]]).toEqual(["CANCELLED", ["retention"]]);
  });

  test("is refused while it runs, of what has not run, and for parameters that nothing takes", () => {
    const world = new World(
      workflow("s", [
        {
          id: "s",
          type: "system",
          name: "switch",
          expression: "$.input.x",
          next: { default: ["a"], other: ["skipped"] },
        },
        user("a", after("later")),
        user("later"),
        user("skipped"),
      ]),
    );
    expect(rerun(world, "a")).toMatchObject({ type: "invalid-state" });
    operate(world, "pause");
    for (const [action, actionStatus] of [
      ["later", "PENDING"],
      ["skipped", "SKIPPED"],
    ] as const) {
      expect(rerun(world, action)).toEqual({
        type: "invalid-state",
        message: `The action ${action} has not run: it is ${actionStatus}. Use an action before it.`,
        actionStatus,
      });
    }
    expect(rerun(world, "none").type).toBe("no-action");
    expect(rerun(world, "s", { n: 1 })).toEqual({
      type: "refused",
      pointer: "/parameters",
      message: "The action s takes no parameters: it is a switch action.",
    });
    const terminated = new World(
      workflow(
        ["a", "b"],
        [user("a", after("t")), { id: "t", type: "system", name: "terminate" }, user("b")],
      ),
    );
    terminated.complete("a");
    expect(rerun(terminated, "b").type).toBe("invalid-state");
    expect(rerun(terminated, "a").type).toBe("accepted");
  });
});
