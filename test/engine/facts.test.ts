/** What `$` holds beside outputs: status, error and times of actions, and the failure that one handles. */
import { describe, expect, test } from "bun:test";
import type { ActionSpec, WorkflowDefinition } from "../../src/model/definition.ts";
import type { Json } from "../../src/model/json.ts";
import { World } from "../support/world.ts";

const user = (id: string, rest: Partial<ActionSpec> = {}): ActionSpec => ({
  id,
  type: "user",
  name: "work",
  retry: { retryCount: 0 },
  ...rest,
});

const look = (id: string, parameters: Json, rest: Partial<ActionSpec> = {}): ActionSpec => ({
  id,
  type: "system",
  name: "transform",
  parameters,
  ...rest,
});

const flow = (actions: ActionSpec[], rootAction: WorkflowDefinition["rootAction"]) =>
  ({ name: "w", rootAction, actions }) satisfies WorkflowDefinition;

const facts = ["status", "error", "startedAt", "endedAt"].map((name) => `$.a.${name}`);

describe("facts of actions", () => {
  const handled = (optional: boolean) =>
    flow(
      [
        user("a", {
          next: { default: "end" },
          ...(optional ? { optional } : { onError: { default: "end" } }),
        }),
        look("end", [...facts, "$.a.output.error.code", "$.b.status", "$.b.error", "$.b.endedAt"], {
          next: { default: "b" },
        }),
        user("b"),
      ],
      "a",
    );

  test.each([
    [true, "COMPLETED"],
    [false, "FAILED"],
  ])("of a failure that was handled (optional: %p)", (optional, status) => {
    const world = new World(handled(optional));
    const startedAt = new Date(world.now).toISOString();
    world.now += 1_000;
    world.fail("a", "BROKEN");
    const error = { code: "BROKEN", message: "it broke" };
    const endedAt = new Date(world.now).toISOString();
    const ofB = ["PENDING", null, null];
    expect(world.output("end")).toEqual([status, error, startedAt, endedAt, "BROKEN", ...ofB]);
  });

  test("without a failure, error is null", () => {
    const world = new World(handled(false));
    world.complete("a");
    expect((world.output("end") as unknown[]).slice(0, 2)).toEqual(["COMPLETED", null]);
  });

  test("paths that range over $ find them, of every action", () => {
    const actions = [
      user("a", { next: { default: "end" } }),
      look("end", { all: "$..status", some: "$[?@.status == 'COMPLETED'].output.x" }),
    ];
    const world = new World(flow(actions, "a"));
    world.complete("a", { x: 7 });
    expect(world.output("end")).toEqual({ all: ["COMPLETED", "PENDING"], some: [7] });
  });

  test("scripts are given them, of all that comes before", () => {
    const script = { type: "system", name: "javascript", expression: "1" } as const;
    const actions = [
      user("a", { next: { default: "s" }, onError: { default: [] } }),
      user("b", { next: { default: "s" } }),
      { id: "s", ...script, join: "settled" } as const,
    ];
    const world = new World(flow(actions, ["a", "b"]));
    world.fail("a");
    world.complete("b", { x: 1 });
    const given = Object.entries(world.scripts[0]!.actions).map(([key, text]) => {
      const { status, error, output } = JSON.parse(text);
      return [key, status, error?.code, output?.x];
    });
    expect(given).toEqual([
      ["a", "FAILED", "BROKEN", undefined],
      ["b", "COMPLETED", undefined, 1],
    ]);
    expect(JSON.parse(world.scripts[0]!.execution).error).toMatchObject({ action: "a" });
  });

  test("executions that began before format 4 do not have them", () => {
    const world = new World(handled(false), { format: 3 });
    world.fail("a");
    expect(world.output("end")).toEqual([null, null, null, null, "BROKEN", null, null, null]);
  });
});

describe("$.execution.error", () => {
  const details = { exact: 1 };
  const shared = flow(
    [
      user("a", { next: { default: "b" }, onError: { default: "tell" } }),
      user("b", { onError: { default: "tell" } }),
      user("tell", { parameters: { error: "$.execution.error" }, retry: { retryCount: 1 } }),
    ],
    "a",
  );
  const parametersOf = (world: World, key: string) => JSON.parse(world.task(key).parameters);

  test("tells a shared handler what it handles, in all its attempts", () => {
    const world = new World(shared);
    world.complete("a");
    const failure = { code: "DECLINED", message: "no", details };
    world.finish("b", { ok: false, failure, retryable: false });
    const wanted = { error: { action: "b", code: "DECLINED", message: "no", details } };
    expect(parametersOf(world, "tell")).toEqual(wanted);
    world.fail("tell");
    world.fireNext();
    expect(world.record("tell")?.attempt).toBe(2);
    expect(parametersOf(world, "tell")).toEqual(wanted);
  });

  test("is null without a failure, for optional ones, and at the end", () => {
    const actions = [
      user("a", { optional: true, next: { default: "end" } }),
      user("end", { parameters: { error: "$.execution.error" } }),
    ];
    const world = new World({ ...flow(actions, "a"), output: ["$.execution.error", "$.a.error"] });
    world.fail("a");
    expect(parametersOf(world, "end")).toEqual({ error: null });
    world.complete("end");
    const result = JSON.parse(world.execution.data.get("result")!);
    expect(result).toMatchObject([null, { code: "BROKEN" }]);
  });

  test("is fixed when the action starts: what comes late does not change it", () => {
    const actions = [
      user("a", { onError: { default: "tell" } }),
      user("b", { onError: { default: "tell" } }),
      user("tell", {
        join: "any",
        parameters: { error: "$.execution.error.action" },
        retry: { retryCount: 1 },
      }),
    ];
    const world = new World(flow(actions, ["a", "b"]));
    world.fail("a");
    world.fail("b");
    world.fail("tell");
    world.fireNext();
    expect(parametersOf(world, "tell")).toEqual({ error: "a" });
  });

  test("is the same for all items of a map, also when one is tried again", () => {
    const map = { type: "system", name: "map", items: "$.input.list", action: "work" } as const;
    const parameters = { error: "$.execution.error.action" };
    const actions = [
      user("a", { onError: { default: "all" } }),
      { id: "all", ...map, parameters, maxConcurrency: 1, retry: { retryCount: 1 } },
    ];
    const world = new World(flow(actions, "a"), { input: { list: [1, 2] } });
    const seen: unknown[] = [];
    const next = (isGood: boolean) => {
      const [task] = world.tasks.values();
      seen.push(JSON.parse(task!.parameters));
      const failure = { code: "BROKEN", message: "it broke" };
      const outcome = isGood
        ? ({ ok: true, output: "1" } as const)
        : ({ ok: false, failure, retryable: true } as const);
      const token = world.tokenOf(task!);
      world.send({ type: "result", taskId: task!.id, token, outcome });
    };
    world.fail("a");
    next(false);
    world.fireNext();
    next(true);
    next(true);
    expect([world.status, ...seen]).toEqual(["COMPLETED", ...seen.map(() => ({ error: "a" }))]);
    expect(seen).toHaveLength(3);
  });

  test("may hold what a map goes over", () => {
    const map = { type: "system", name: "map", items: "$.execution.error.details.left" } as const;
    const actions = [
      user("a", { onError: { default: "all" } }),
      { id: "all", ...map, action: "work", parameters: { item: "$.item" } },
    ];
    const world = new World(flow(actions, "a"));
    const failure = { code: "BROKEN", message: "it broke", details: { left: [7, 8] } };
    world.finish("a", { ok: false, failure, retryable: false });
    const parameters = [...world.tasks.values()].map((task) => JSON.parse(task.parameters));
    expect(parameters).toEqual([{ item: 7 }, { item: 8 }]);
  });

  test("a settled action reads what it recovers by itself", () => {
    const actions = [
      user("a", { next: { default: "end" }, onError: { default: [] } }),
      user("b", { next: { default: "end" } }),
      look("end", "$.execution.error.action", { join: "settled" }),
    ];
    const world = new World(flow(actions, ["a", "b"]));
    world.fail("a");
    world.complete("b");
    expect(world.output("end")).toBe("a");
  });
});
