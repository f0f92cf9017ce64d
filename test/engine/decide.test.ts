/** The rules of the language, one by one, as an execution shows them. */
import { describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import type { WaitingScript } from "../../src/model/decision.ts";
import type { ActionSpec, WorkflowDefinition } from "../../src/model/definition.ts";
import { World } from "../support/world.ts";

const user = (id: string, rest: Partial<ActionSpec> = {}): ActionSpec => ({
  id,
  type: "user",
  name: `do-${id}`,
  ...rest,
});

const system = (id: string, name: string, rest: object = {}): ActionSpec =>
  ({ id, type: "system", name, ...rest }) as ActionSpec;

const workflow = (actions: ActionSpec[], rest: Partial<WorkflowDefinition> = {}) =>
  ({ name: "w", rootAction: actions[0]!.id, actions, ...rest }) as WorkflowDefinition;

const noRetry = { retry: { retryCount: 0 } };

describe("edges and joins", () => {
  const diamond = (join?: ActionSpec["join"]) =>
    workflow([
      user("a", { next: { default: ["b", "c"] } }),
      user("b", { next: { default: "d" }, onError: { default: [] }, ...noRetry }),
      user("c", { next: { default: "d" } }),
      user("d", join === undefined ? {} : { join }),
    ]);

  test("a diamond joins by itself", () => {
    const world = new World(diamond());
    world.complete("a");
    world.complete("b");
    expect(world.statusOf("d")).toBe("PENDING");
    world.complete("c");
    expect(world.statusOf("d")).toBe("SCHEDULED");
    world.complete("d", { done: true });
    expect(world.status).toBe("COMPLETED");
  });

  test("a failure that onError routes, and nothing recovers, skips the join behind it", () => {
    const world = new World(diamond());
    world.complete("a");
    world.fail("b");
    expect(world.statusOf("d")).toBe("PENDING");
    world.complete("c");
    expect(world.record("d")).toMatchObject({ status: "SKIPPED", skippedBy: "failure" });
    expect(world.history.at(-2)).toMatchObject({
      kind: "action.skipped",
      details: { by: "failure", causes: ["b"] },
    });
    expect(world.status).toBe("COMPLETED");
  });

  test("any starts at the first taken edge, once", () => {
    const world = new World(diamond("any"));
    world.complete("a");
    world.complete("c");
    expect(world.statusOf("d")).toBe("SCHEDULED");
    world.complete("b");
    world.complete("d");
    expect(world.status).toBe("COMPLETED");
    expect(world.startsOf.get("d")).toBe(1);
  });

  test("settled starts when all are decided, failures or not", () => {
    const world = new World(diamond("settled"));
    world.complete("a");
    world.fail("b");
    expect(world.statusOf("d")).toBe("PENDING");
    world.complete("c");
    expect(world.statusOf("d")).toBe("SCHEDULED");
  });

  test("n fails when it cannot be reached any more, and an edge is taken", () => {
    const world = new World(diamond(2));
    world.complete("a");
    world.fail("b");
    expect(world.statusOf("d")).toBe("PENDING");
    world.complete("c");
    expect(world.execution.state.failure).toEqual({
      code: "JOIN_NOT_MET",
      message: "It waits for 2 edges, and only 1 can be taken.",
      action: "d",
    });
  });

  test("a merge after a switch does not wait for the branch not chosen", () => {
    const world = new World(
      workflow([
        system("s", "switch", { expression: "$.input.k", next: { x: "b", default: "c" } }),
        user("b", { next: { default: "d" } }),
        user("c", { next: { default: "d" } }),
        user("d"),
      ]),
      { input: { k: "x" } },
    );
    expect(world.statusOf("c")).toBe("SKIPPED");
    expect(world.record("c")?.skippedBy).toBe("dead-path");
    world.complete("b");
    expect(world.statusOf("d")).toBe("SCHEDULED");
  });

  test("a thousand actions start in portions, none lost", () => {
    const leaves = Array.from({ length: 998 }, (_, i) => user(`l${i}`, { next: { default: "z" } }));
    const ids = leaves.map((leaf) => leaf.id);
    const world = new World(
      workflow([user("a", { next: { default: ids } }), ...leaves, user("z")]),
    );
    world.complete("a");
    expect(world.tasks.size).toBe(998);
    for (const id of ids) world.complete(String(id));
    world.complete("z");
    expect(world.status).toBe("COMPLETED");
  }, 120_000);

  test("a long row of system actions is cut and goes on", () => {
    const row = Array.from({ length: 300 }, (_, i) =>
      system(`t${i}`, "transform", i < 299 ? { next: { default: `t${i + 1}` } } : {}),
    );
    expect(new World(workflow(row)).status).toBe("COMPLETED");
  });
});

describe("failures", () => {
  test("retries by policy, then the execution fails and the others are cancelled", () => {
    const world = new World(
      workflow(
        [
          user("a", {
            retry: { retryCount: 2, retryAfterSeconds: 10, retryPolicy: "FIXED", jitter: 0 },
          }),
          user("b"),
        ],
        { rootAction: ["a", "b"] },
      ),
    );
    world.fail("a");
    expect(world.statusOf("a")).toBe("RETRYING");
    const before = world.now;
    world.fireNext();
    expect(world.now - before).toBe(10_000);
    world.fail("a");
    world.fireNext();
    expect(world.record("a")?.attempt).toBe(3);
    world.fail("a", "LAST");
    expect(world.status).toBe("FAILED");
    expect(world.execution.state.failure).toMatchObject({ code: "LAST", action: "a" });
    expect(world.statusOf("b")).toBe("CANCELLED");
    expect(world.tasks.size).toBe(0);
  });

  test("a failure that says so, or whose code says so, is not retried", () => {
    const codes = { retry: { retryCount: 5, nonRetryable: ["FATAL"] } };
    const one = new World(workflow([user("a", codes)]));
    one.fail("a", "FATAL");
    expect(one.status).toBe("FAILED");
    const other = new World(workflow([user("a", codes)]));
    other.fail("a", "X", false);
    expect(other.status).toBe("FAILED");
  });

  test("optional turns a final failure into an output", () => {
    const world = new World(
      workflow([user("a", { optional: true, next: { default: "b" }, ...noRetry }), user("b")]),
    );
    world.fail("a", "X");
    expect(world.output("a")).toMatchObject({ error: { code: "X" } });
    expect(world.statusOf("b")).toBe("SCHEDULED");
  });

  test("repeats and late results change nothing", () => {
    const world = new World(workflow([user("a", { next: { default: "b" } }), user("b")]));
    const task = world.task("a");
    const token = world.tokenOf(task);
    const result = {
      type: "result",
      taskId: task.id,
      token,
      outcome: { ok: true, output: "1" },
    } as const;
    expect(world.send(result)[0]?.type).toBe("accepted");
    expect(world.send(result)[0]?.type).toBe("duplicate");
    const other = { ...result, token: token.replace("nonce", "other") };
    expect(world.send(other)[0]?.type).toBe("stale");
    expect(world.send({ ...result, taskId: "nonsense" })[0]?.type).toBe("stale");
  });

  test("a lapsed lease ends the attempt; a lapsed queue ends the action", () => {
    const world = new World(workflow([user("a", { retry: { retryCount: 1 } })]));
    const task = world.task("a");
    world.send({
      type: "lease-expired",
      taskId: task.id,
      token: world.tokenOf(task),
      leaseUntil: 1,
      heartbeat: true,
    });
    expect(world.statusOf("a")).toBe("RETRYING");
    expect(world.record("a")?.attempts?.[0]?.failure?.code).toBe("HEARTBEAT_LOST");
    world.fireNext();
    world.send({ type: "queue-timeout", taskId: world.task("a").id, queueUntil: 1 });
    expect(world.statusOf("a")).toBe("TIMED_OUT");
    expect(world.execution.state.failure?.code).toBe("QUEUE_TIMEOUT");
  });

  test("totalTimeoutSeconds ends all attempts together", () => {
    const world = new World(workflow([user("a", { totalTimeoutSeconds: 5 })]));
    world.fireNext();
    expect(world.execution.state.failure?.code).toBe("TOTAL_TIMEOUT");
    expect(world.tasks.size).toBe(0);
  });
});

describe("system actions", () => {
  test.each([
    [200, "200"],
    [200.0, "200"],
    ["200", "200"],
    [true, "true"],
    [null, "default"],
    [undefined, "default"],
    ["other", "default"],
  ])("switch: %p takes %p", (value, route) => {
    const routes = { "200": "b", true: "c", default: "d" };
    const world = new World(
      workflow([
        system("s", "switch", { expression: "{$.input.v}", next: routes }),
        user("b"),
        user("c"),
        user("d"),
      ]),
      { input: { v: value } },
    );
    expect(world.output("s")).toEqual({ route });
    expect(world.record("s")?.route ?? "default").toBe(route);
  });

  test("switch without a fitting route fails", () => {
    const world = new World(
      workflow([system("s", "switch", { expression: "$.input.v", next: { x: "b" } }), user("b")]),
      { input: { v: 1 } },
    );
    expect(world.execution.state.failure?.code).toBe("NO_MATCHING_ROUTE");
  });

  test("javascript: output, route and failure come from the evaluation", () => {
    const definition = workflow([
      system("j", "javascript", { expression: "1", next: { x: "b", default: "c" } }),
      user("b"),
      user("c"),
    ]);
    const world = new World(definition, { input: { a: 1 } });
    const script = world.scripts[0]!;
    expect(script.input).toBe('{"a":1}');
    const outcome = { ok: true, output: '{"r":1}', route: "x" } as const;
    world.send({ type: "script", handout: script.handout, outcome });
    expect(world.output("j")).toEqual({ r: 1 });
    expect(world.statusOf("b")).toBe("SCHEDULED");
    expect(world.statusOf("c")).toBe("SKIPPED");

    const unknown = new World(definition);
    const { handout } = unknown.scripts[0]!;
    unknown.send({ type: "script", handout, outcome: { ...outcome, route: "nowhere" } });
    expect(unknown.execution.state.failure?.code).toBe("NO_MATCHING_ROUTE");
  });

  test("javascript: the route default may always be chosen", () => {
    for (const next of [{}, { x: "b" }, { x: "b", default: "c" }]) {
      const actions = [system("j", "javascript", { expression: "1", next }), user("b"), user("c")];
      const rootAction = "default" in next ? ["j"] : "x" in next ? ["j", "c"] : ["j", "b", "c"];
      const world = new World({ ...workflow(actions), rootAction });
      const outcome = { ok: true, output: "{}", route: "default" } as const;
      world.send({ type: "script", handout: world.scripts[0]!.handout, outcome });
      expect(world.statusOf("j")).toBe("COMPLETED");
      expect(world.statusOf("b")).toBe("x" in next ? "SKIPPED" : "SCHEDULED");
      expect(world.statusOf("c")).toBe("SCHEDULED");
    }
  });

  test("javascript: a server that died in the middle is followed by another evaluation", () => {
    const world = new World(workflow([system("j", "javascript", { expression: "1" })]));
    world.fireNext();
    expect(world.scripts).toHaveLength(2);
    const [first, second] = world.scripts;
    const outcome = { ok: true, output: "{}" } as const;
    const late = { type: "script", handout: first!.handout, outcome } as const;
    expect(world.send(late)[0]?.type).toBe("stale");
    world.send({ ...late, handout: second!.handout });
    expect(world.status).toBe("COMPLETED");
  });

  describe("javascript without room in the sandbox", () => {
    const one = () => workflow([system("j", "javascript", { expression: "1" })]);
    const outcome = { ok: true, output: '{"a":1}' } as const;
    const dueIn = (world: World) => [...world.timers.values()][0]! - world.now;

    test("waits in the store, without a request, and keeps its hand-out when its turn comes", () => {
      const world = new World(one(), { scriptRoom: 0 });
      expect([world.statusOf("j"), world.scripts]).toEqual(["WAITING", []]);
      const [{ handout, until }] = world.waitingScripts as [WaitingScript];
      expect([...world.timers.values()]).toEqual([until]);
      const before = world.history.length;
      expect(world.send({ type: "script-turn", handout })[0]?.type).toBe("accepted");
      expect(world.statusOf("j")).toBe("RUNNING");
      expect(world.scripts.map((script) => script.handout)).toEqual([handout]);
      expect(dueIn(world)).toBe(limits.scriptGuardMs);
      expect(world.history).toHaveLength(before);
      expect(world.send({ type: "script-turn", handout })).toEqual([{ type: "accepted" }]);
      expect(world.scripts).toHaveLength(1);
      world.send({ type: "script", handout, outcome });
      expect([world.status, world.output("j")]).toEqual(["COMPLETED", { a: 1 }]);
      expect(world.send({ type: "script-turn", handout })[0]?.type).toBe("stale");
    });

    test("its timer moves it on, later each time and never by more than the bound", () => {
      const world = new World(one(), { scriptRoom: 0 });
      const before = world.history.length;
      for (let round = 0; round < 20; round++) {
        expect(dueIn(world)).toBeWithin(limits.scriptWaitMsMin, 2 * limits.scriptWaitMsMax);
        world.fireNext();
        expect(world.statusOf("j")).toBe("WAITING");
      }
      expect(dueIn(world)).toBeGreaterThanOrEqual(limits.scriptWaitMsMax);
      expect([world.scripts, world.history.length]).toEqual([[], before]);
      world.scriptRoom = 1;
      world.fireNext();
      expect(world.scripts.map((script) => script.handout)).toEqual([1]);
      expect([world.statusOf("j"), world.history.length]).toEqual(["RUNNING", before]);
    });

    test("its guard moves while it is under way here", () => {
      const world = new World(one());
      const { handout } = world.scripts[0]!;
      world.underWay.add(handout);
      const before = world.history.length;
      for (let round = 0; round < 5; round++) world.fireNext();
      expect([world.scripts.length, world.history.length]).toEqual([1, before]);
      expect(dueIn(world)).toBe(limits.scriptGuardMs);
      // Others have taken it for lost meanwhile, and had no room: what it says counts all the same.
      world.underWay.clear();
      world.scriptRoom = 0;
      world.fireNext();
      expect(world.statusOf("j")).toBe("WAITING");
      world.send({ type: "script", handout, outcome });
      expect(world.status).toBe("COMPLETED");
    });

    test("of many that start together, so many are asked for as there is room", () => {
      const actions = ["a", "b", "c"].map((id) => system(id, "javascript", { expression: "1" }));
      const world = new World(
        { name: "w", rootAction: ["a", "b", "c"], actions },
        { scriptRoom: 2 },
      );
      expect([world.scripts.length, world.waitingScripts.length]).toEqual([2, 1]);
      expect(world.statusOf("c")).toBe("WAITING");
    });

    test("it is not called up during a pause, and is due at once after it", () => {
      const world = new World(one(), { scriptRoom: 0 });
      const [{ handout }] = world.waitingScripts as [WaitingScript];
      world.send({ type: "operation", operation: "pause" });
      world.now += 5_000;
      world.send({ type: "script-turn", handout });
      world.send({ type: "script-turn", handout });
      expect([world.statusOf("j"), world.scripts, world.timers.size]).toEqual(["WAITING", [], 0]);
      world.now += 5_000;
      world.send({ type: "operation", operation: "resume" });
      expect(dueIn(world)).toBe(0);
      world.scriptRoom = 1;
      world.fireNext();
      expect(world.scripts).toHaveLength(1);
    });

    test("a cancel ends it", () => {
      const world = new World(one(), { scriptRoom: 0 });
      world.send({ type: "operation", operation: "cancel" });
      expect([world.status, world.statusOf("j")]).toEqual(["CANCELLED", "CANCELLED"]);
      expect([...world.timers.keys()].filter((id) => id.startsWith("script"))).toEqual([]);
    });
  });

  test("delay: fractions and templates; the past is over at once; nonsense fails", () => {
    const world = new World(workflow([system("d", "delay", { delaySeconds: "$.input.s" })]), {
      input: { s: 1.5 },
    });
    expect(world.record("d")?.dueAt).toBe(world.now + 1_500);
    world.fireNext();
    expect(world.status).toBe("COMPLETED");
    const until = (value: string) =>
      new World(workflow([system("d", "delay", { until: "$.input.u" })]), { input: { u: value } });
    expect(until("2001-01-01T00:00:00Z").status).toBe("COMPLETED");
    expect(until("soon").execution.state.failure?.code).toBe("INVALID_VALUE");
  });

  test("wait: signals late, early, by name, once; timeout", () => {
    const definition = workflow([
      system("w", "wait", {
        event: ["yes", "no"],
        timeoutSeconds: 60,
        next: { yes: "b", timeout: "c" },
      }),
      user("b"),
      user("c"),
    ]);
    const late = new World(definition);
    const signal = {
      type: "signal",
      event: "yes",
      payload: "7",
      cause: { id: "one", scope: "yes", hash: "h" },
    } as const;
    const other = { ...signal, event: "other", cause: { id: "zero", scope: "other", hash: "h" } };
    expect(late.send(other)[0]?.type).toBe("accepted");
    expect(late.send(signal)[0]?.type).toBe("accepted");
    expect(late.send(signal)[0]?.type).toBe("duplicate");
    expect(late.output("w")).toEqual({ event: "yes", payload: 7 });
    expect(late.statusOf("b")).toBe("SCHEDULED");

    const early = new World(definition, { signal: { event: "yes", payload: '"early"' } });
    expect(early.output("w")).toEqual({ event: "yes", payload: "early" });
    expect(early.execution.state.signals).toEqual([]);

    const never = new World(definition);
    never.fireNext();
    expect(never.output("w")).toEqual({ timedOut: true });
    expect(never.statusOf("c")).toBe("SCHEDULED");
  });

  test("wait: of several, the one that started first; the 101st early signal is refused", () => {
    const world = new World(
      workflow([system("v", "wait", { event: "e" }), system("w", "wait", { event: "e" })], {
        rootAction: ["v", "w"],
      }),
    );
    world.send({ type: "signal", event: "e", payload: "1" });
    expect([world.statusOf("v"), world.statusOf("w")]).toEqual(["COMPLETED", "WAITING"]);
    const other = { type: "signal", event: "other", payload: "null" } as const;
    for (let i = 0; i < 100; i++) expect(world.send(other)[0]?.type).toBe("accepted");
    expect(world.send(other)[0]?.type).toBe("too-many");
  });

  test("strict: a missing reference fails; otherwise it is null", () => {
    const action = (strict: boolean) =>
      workflow([system("t", "transform", { parameters: { a: "$.input.none" }, strict })]);
    expect(new World(action(false)).output("t")).toEqual({ a: null });
    expect(new World(action(true)).execution.state.failure?.code).toBe("REFERENCE_NOT_FOUND");
  });
});

describe("whole executions", () => {
  test("the result: a template, one terminal action, several, none", () => {
    const world = new World(
      workflow([user("a")], { output: { x: "$.a.output.v", id: "{$.execution.workflow}!" } }),
    );
    world.complete("a", { v: [1] });
    expect(JSON.parse(world.execution.data.get("result")!)).toEqual({ x: [1], id: "w!" });
  });

  test("pause holds what would start; resume goes on; both are idempotent", () => {
    const world = new World(workflow([user("a", { next: { default: "b" } }), user("b")]));
    const operate = (operation: "pause" | "resume" | "cancel") =>
      world.send({ type: "operation", operation })[0]?.type;
    expect(operate("pause")).toBe("accepted");
    expect(operate("pause")).toBe("accepted");
    expect([world.status, world.held]).toEqual(["PAUSED", true]);
    world.complete("a");
    expect(world.statusOf("b")).toBe("PENDING");
    expect(operate("resume")).toBe("accepted");
    expect(operate("resume")).toBe("accepted");
    expect([world.status, world.held, world.statusOf("b")]).toEqual([
      "RUNNING",
      false,
      "SCHEDULED",
    ]);
    world.complete("b");
    expect(operate("pause")).toBe("invalid-state");
  });

  test("paused time does not count for the execution's timeout", () => {
    const world = new World(workflow([user("a")], { timeoutSeconds: 60 }));
    const start = world.now;
    world.now += 10_000;
    world.send({ type: "operation", operation: "pause" });
    world.fireNext();
    expect(world.status).toBe("PAUSED");
    world.now = start + 500_000;
    world.send({ type: "operation", operation: "resume" });
    expect(world.status).toBe("RUNNING");
    world.fireNext();
    expect(world.now).toBe(start + 500_000 + 50_000);
    expect(world.status).toBe("TIMED_OUT");
  });

  test("cancel ends everything, whatever is open", () => {
    const world = new World(
      workflow(
        [user("a"), system("w", "wait", { event: "e" }), system("d", "delay", { delaySeconds: 9 })],
        { rootAction: ["a", "w", "d"] },
      ),
    );
    world.send({ type: "operation", operation: "cancel", reason: "enough" });
    expect(world.status).toBe("CANCELLED");
    expect(world.execution.state.cancelReason).toBe("enough");
    expect([world.tasks.size, [...world.timers.keys()]]).toEqual([0, ["retention"]]);
  });

  test("what follows an end is sent with input, outcome and execution", () => {
    const world = new World(
      workflow([user("a", noRetry)], { onFailure: { workflow: "cleanup" } }),
      { input: { n: 1 } },
    );
    world.fail("a", "X");
    expect(JSON.parse(world.messages[0]!)).toMatchObject({
      type: "start",
      workflow: "cleanup",
      depth: 1,
      sourceStartedAt: world.execution.state.startedAt,
      input: { input: { n: 1 }, error: { code: "X" }, execution: { workflow: "w" } },
    });
  });

  test("a follow-up is given what was put out, as far as it fits", () => {
    const large = "x".repeat(limits.followUpOutputsBytesMax / 2);
    const actions = [
      user("a", { next: { default: "b" } }),
      user("b", { next: { default: "c" }, onError: { default: "c" }, ...noRetry }),
      user("c", { next: { default: "d" } }),
      user("d", { next: { default: "e" } }),
      user("e", noRetry),
    ];
    const world = new World(workflow(actions, { onFailure: { workflow: "cleanup" } }));
    world.complete("a", { n: 1 });
    world.fail("b", "X");
    world.complete("c", large);
    world.complete("d", large);
    world.fail("e", "LAST");
    const { input } = JSON.parse(world.messages[0]!);
    expect(Object.keys(input)).toEqual(["input", "error", "execution", "outputs", "omitted"]);
    const { outputs, omitted, error } = input;
    expect(error).toMatchObject({ code: "LAST", action: "e" });
    expect(Object.keys(outputs)).toEqual(["a", "b", "c"]);
    expect([outputs.a, outputs.b.error.code, omitted]).toEqual([{ n: 1 }, "X", ["d"]]);
    expect(input.execution.error).toBeNull();
  });

  test("beside servers of format 2, a follow-up gets the id that they build", () => {
    const options = { onFailure: { workflow: "cleanup" } };
    const world = new World(workflow([user("a", noRetry)], options), { format: 2 });
    world.fail("a", "X");
    expect(JSON.parse(world.messages[0]!)).not.toHaveProperty("sourceStartedAt");
  });
});

describe("what fits no Struct", () => {
  const nested = (levels: number): unknown => (levels === 1 ? {} : { a: nested(levels - 1) });
  const queueOf = (levels: number, format?: number) => {
    const action = { ...user("a", noRetry), parameters: "$.input" };
    const input = nested(levels);
    return new World(workflow([action]), { input, ...(format && { format }) }).task("a").queue;
  };
  const { structDepthMax } = limits;

  test("has a queue beside the plain one, but not beside servers of format 2", () => {
    expect(queueOf(structDepthMax)).toBe("default/do-a");
    expect(queueOf(structDepthMax + 1)).toBe("json:default/do-a");
    expect(queueOf(structDepthMax + 1, 2)).toBe("default/do-a");
  });
});

describe("repair", () => {
  test("what the store lost is made anew, and late holders are fenced off", () => {
    const world = new World(
      workflow([user("a"), system("d", "delay", { delaySeconds: 9 })], { rootAction: ["a", "d"] }),
    );
    const lost = world.task("a");
    world.tasks.clear();
    world.timers.clear();
    world.send({ type: "repair", tasks: new Set(), timers: new Set() });
    const late = { taskId: lost.id, token: world.tokenOf(lost) };
    const outcome = { ok: true, output: "1" } as const;
    expect(world.send({ type: "result", ...late, outcome })[0]?.type).toBe("stale");
    expect(world.record("a")?.attempt).toBe(1);
    world.fireNext();
    world.complete("a");
    expect(world.status).toBe("COMPLETED");
  });
});

test("a very long history says that it is thinned, and still tells the end", () => {
  const world = new World(workflow([user("a", { retry: { retryCount: 1_000, jitter: 0 } })]));
  const { historyEntriesMax } = limits;
  const state = { ...world.execution.state, historySequence: historyEntriesMax - 1 };
  world.execution = { ...world.execution, state };
  for (let attempt = 1; attempt <= 3; attempt++) {
    world.fail("a");
    world.fireNext();
  }
  // Pauses do not make it longer either, however many are requested.
  for (const operation of ["pause", "resume"] as const)
    world.send({ type: "operation", operation });
  world.complete("a");
  const kinds = world.history.slice(2).map((entry) => entry.kind);
  expect(kinds).toEqual(["attempt.failed", "history.thinned", "execution.completed"]);
});
