/** Actions that run children: what they ask for, what they hear, and what they leave behind. */
import { describe, expect, test } from "bun:test";
import { childIdOf } from "../../src/model/child.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import type { EventAnswer } from "../../src/model/event.ts";
import type { ChildEnd, Message } from "../../src/model/message.ts";
import { executionId, World } from "../support/world.ts";

const parentOf = (action: object = {}, rest: object = {}) =>
  ({
    name: "parent",
    rootAction: "c",
    actions: [{ id: "c", type: "system", name: "workflow", workflow: "child", ...action }],
    ...rest,
  }) as WorkflowDefinition;

function run(
  action: object = {},
  options: ConstructorParameters<typeof World>[1] & { rest?: object } = {},
): World {
  return new World(parentOf(action, options.rest), { versions: { child: 7 }, ...options });
}

function sent(world: World): Message[] {
  return world.messages.map((body) => JSON.parse(body));
}

const failed = (code = "BROKEN", status = "FAILED" as const): ChildEnd => ({
  status,
  failure: { code, message: "it broke" },
});

/** The end of the last child that was started. */
function end(world: World, ended: ChildEnd): EventAnswer {
  const start = sent(world).findLast(({ type }) => type === "start-child");
  if (start?.type !== "start-child") throw new Error("no child was started");
  return world.send({ type: "child-ended", parent: start.parent, end: ended })[0]!;
}

describe("workflow", () => {
  test("starts the newest version with its parameters, and takes over the result", () => {
    const world = run({ parameters: { x: "$.input.x" } }, { input: { x: 1 } });
    const parent = { id: executionId, startedAt: world.now, action: "c", handout: 1 };
    expect(sent(world)).toEqual([
      {
        type: "start-child",
        parent,
        workflow: "child",
        version: 7,
        nesting: 1,
        depth: 0,
        priority: 0,
        input: { x: 1 },
      } as never,
    ]);
    expect(world.record("c")).toMatchObject({
      status: "WAITING",
      child: childIdOf(parent),
      childVersion: 7,
    });
    expect(end(world, { output: "12345678901234567890" })).toEqual({ type: "accepted" });
    expect(world.execution.data.get("output:c")).toBe("12345678901234567890");
    expect(world.status).toBe("COMPLETED");
    expect(end(world, { output: "2" })).toEqual({ type: "stale" });
  });

  test("a retry is a new child of the version that the first one had", () => {
    const world = run({ retry: { retryCount: 1, retryAfterSeconds: 5 } });
    end(world, failed());
    expect(world.statusOf("c")).toBe("RETRYING");
    expect([...world.timers.keys()]).toEqual(["retry:1:1:c"]);
    world.fireNext();
    const starts = sent(world) as { version: number; parent: { handout: number } }[];
    expect(starts.map(({ version }) => version)).toEqual([7, 7]);
    expect(new Set(starts.map(({ parent }) => parent.handout)).size).toBe(2);
    end(world, failed("AGAIN"));
    expect(world.execution.state.failure).toMatchObject({
      code: "CHILD_FAILED",
      details: { status: "FAILED", error: { code: "AGAIN" } },
      action: "c",
    });
  });

  test.each(["CANCELLED", "TIMED_OUT"] as const)(
    "a child that is %s: is it repeated?",
    (status) => {
      const world = run({ retry: { retryCount: 3 } });
      end(world, { status, failure: { code: status, message: "so" } });
      expect(world.statusOf("c")).toBe(status === "CANCELLED" ? "FAILED" : "RETRYING");
    },
  );

  test("onError handles the failure of a child", () => {
    const actions = [
      { id: "c", type: "system", name: "workflow", workflow: "child", onError: { default: "t" } },
      { id: "t", type: "system", name: "transform", parameters: "$.c.output.error.code" },
    ];
    const world = run({}, { rest: { actions } });
    end(world, failed());
    expect(world.output("t")).toBe("CHILD_FAILED");
  });

  test("a result that is too large, and a child that could not be started, are not repeated", () => {
    const large = run({ retry: {} });
    end(large, { status: "COMPLETED", failure: { code: "TOO_LARGE", message: "Too much." } });
    expect(large.execution.state.failure).toMatchObject({ code: "TOO_LARGE" });
    const none = run({ retry: {} });
    end(none, { failure: { code: "NOT_STARTED", message: "The workflow has gone." } });
    expect(none.execution.state.failure?.message).toEndWith(
      "could not be started: The workflow has gone.",
    );
  });

  test("an unknown workflow fails the action, and nothing is sent", () => {
    const world = run({ workflow: "chil" });
    expect(world.execution.state.failure).toEqual({
      code: "CHILD_FAILED",
      message: "No child can be started. There is no workflow chil.",
      action: "c",
    });
    expect(world.messages).toEqual([]);
  });

  test("detach goes on at once, and what it has started is left alone", () => {
    const world = run({ detach: true }, { rest: { output: "$.c.output" } });
    const [start] = sent(world) as { parent: Parameters<typeof childIdOf>[0] }[];
    expect(start?.parent).toMatchObject({ detached: true });
    expect(world.output("c")).toEqual({ executionId: childIdOf(start!.parent) });
    expect(world.status).toBe("COMPLETED");
    expect(sent(world)).toHaveLength(1);
  });

  test("twenty parents may be above a child, and no more", () => {
    const parent = { id: "p", startedAt: 1, action: "a", handout: 1 };
    expect(run({}, { child: { parent, nesting: 19 } }).status).toBe("RUNNING");
    const world = run({}, { child: { parent, nesting: 20 } });
    expect(world.execution.state.failure?.message).toContain("nested at most 20 deep");
  });

  test("a failure further down keeps its words, and each level adds where it was", () => {
    const world = run();
    const details = { executionId: "grandchild", status: "FAILED", error: { code: "X" } };
    end(world, { status: "FAILED", failure: { code: "CHILD_FAILED", message: "Deep.", details } });
    expect(world.execution.state.failure).toMatchObject({
      message: "Deep.",
      details: { error: { code: "CHILD_FAILED", details } },
    });
  });

  test("a cancel reaches the child, once, and says why", () => {
    const world = run();
    world.send({ type: "operation", operation: "cancel", reason: "enough" });
    expect(sent(world)[1]).toMatchObject({
      type: "cancel-child",
      parent: { id: executionId, handout: 1 },
      workflow: "child",
      version: 7,
      reason: `Its parent ${executionId} is CANCELLED.`,
    });
    expect(world.messages).toHaveLength(2);
    expect(end(world, { output: "1" })).toEqual({ type: "stale" });
  });

  test("between two attempts there is no child to be cancelled", () => {
    const world = run({ retry: { retryCount: 1 } });
    end(world, failed());
    world.send({ type: "operation", operation: "cancel" });
    expect(sent(world).map(({ type }) => type)).toEqual(["start-child"]);
  });

  test("during a pause the end is heard, and what follows is held", () => {
    const actions = [
      { id: "c", type: "system", name: "workflow", workflow: "child", next: { default: "d" } },
      { id: "d", type: "system", name: "workflow", workflow: "child" },
    ];
    const world = run({}, { rest: { actions } });
    world.send({ type: "operation", operation: "pause" });
    end(world, { output: "1" });
    expect([world.statusOf("c"), world.statusOf("d")]).toEqual(["COMPLETED", "PENDING"]);
    expect(world.messages).toHaveLength(1);
    world.send({ type: "operation", operation: "resume" });
    expect(world.statusOf("d")).toBe("WAITING");
  });

  test("a child that is silent is asked for, ever less often, and started again if it is lost", () => {
    const world = run({ parameters: "$.input" }, { input: [1] });
    const began = world.now;
    const asked: number[] = [];
    for (let turn = 0; turn < 4; turn++) {
      world.fireNext();
      asked.push((world.now - began) / 60_000);
    }
    expect(asked).toEqual([1, 2, 4, 8]);
    const [start, ask] = sent(world) as Extract<Message, { type: "start-child" }>[];
    expect(ask).toEqual({ type: "ask-child", parent: start!.parent } as never);
    world.send({ type: "child-lost", parent: start!.parent });
    expect(sent(world).at(-1)).toEqual(start!);
  });

  test("under an older format it is not run, as servers beside this one do not know of children", () => {
    expect(run({}, { format: 3 }).execution.state.failure?.code).toBe("NOT_IMPLEMENTED");
  });
});

describe("a child", () => {
  const parent = { id: "p", startedAt: 1, action: "a", handout: 4 };
  const child = (definition: object, options: object = {}) =>
    new World({ name: "child", ...definition } as WorkflowDefinition, {
      child: { parent, nesting: 1 },
      ...options,
    });
  const works = { rootAction: "a", actions: [{ id: "a", type: "user", name: "work" }] };

  test("tells its parent its result, and repeats it when it is asked", () => {
    const world = child(works);
    expect(world.messages).toEqual([]);
    world.send({ type: "parent-asks" });
    expect(world.messages).toEqual([]);
    world.complete("a", { n: 1 });
    const told = { type: "child-ended", parent, status: "COMPLETED", output: { n: 1 } };
    expect(sent(world)).toEqual([told as never]);
    world.send({ type: "parent-asks" });
    expect(sent(world)).toEqual([told as never, told as never]);
  });

  test.each([
    ["its only output", {}],
    ["its template", { output: "$.a.output" }],
  ])("reads its result anew where memory does not have it: %s", (_, more) => {
    const world = child({ ...works, ...more });
    world.complete("a", { n: 1 });
    world.execution = { ...world.execution, data: new Map() };
    world.send({ type: "parent-asks" });
    const told = { type: "child-ended", parent, status: "COMPLETED", output: { n: 1 } };
    expect(sent(world)).toEqual([told as never, told as never]);
  });

  test("tells its failure, and its cancel with the reason", () => {
    const world = child({ ...works, onFailure: "DELETE" });
    world.fail("a", "BROKEN", false);
    expect(sent(world)[0]).toMatchObject({
      status: "FAILED",
      failure: { code: "BROKEN", action: "a" },
    });
    const cancelled = child(works);
    cancelled.send({ type: "operation", operation: "cancel", reason: "by hand" });
    expect(sent(cancelled)[0]).toMatchObject({
      status: "CANCELLED",
      failure: { code: "CANCELLED", message: "by hand" },
    });
  });

  test("that its parent has ended tells nobody, and ends what it had started itself", () => {
    const world = child(parentOf(), { versions: { child: 2 } });
    world.send({ type: "parent-ended", reason: "Its parent p is FAILED." });
    expect(world.execution.state).toMatchObject({
      status: "CANCELLED",
      cancelReason: "Its parent p is FAILED.",
    });
    expect(sent(world).map(({ type }) => type)).toEqual(["start-child", "cancel-child"]);
    world.send({ type: "parent-ended", reason: "again" });
    expect(world.messages).toHaveLength(2);
  });

  test("that is detached tells nobody", () => {
    const world = child(works, { child: { parent: { ...parent, detached: true }, nesting: 1 } });
    world.complete("a");
    expect(world.messages).toEqual([]);
  });
});
