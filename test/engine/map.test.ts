/** map: its window, retries, tolerance and output, in a world without a store. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { NewTask } from "../../src/model/decision.ts";
import type { ActionSpec, WorkflowDefinition } from "../../src/model/definition.ts";
import { parseTaskId } from "../../src/model/ids.ts";
import { readHeader } from "../../src/model/task-header.ts";
import { World } from "../support/world.ts";

function workflow(map: Partial<ActionSpec>, last: Partial<ActionSpec> = {}): WorkflowDefinition {
  return {
    name: "mapped",
    rootAction: "all",
    actions: [
      {
        id: "all",
        type: "system",
        name: "map",
        items: "$.input.list",
        action: "work",
        parameters: { v: "$.item", i: "$.index" },
        next: { default: "end" },
        ...map,
      },
      { id: "end", type: "system", name: "transform", parameters: "$.all.output", ...last },
    ],
  };
}

function list(count: number): { list: number[] } {
  return { list: Array.from({ length: count }, (_, index) => index * 10) };
}

const itemOf = (task: NewTask) => parseTaskId(task.id)!.item!;

function taskOf(world: World, item: number): NewTask {
  return [...world.tasks.values()].find((task) => itemOf(task) === item)!;
}

function complete(world: World, item: number, output: unknown = item) {
  const task = taskOf(world, item);
  const outcome = { ok: true, output: JSON.stringify(output) } as const;
  return world.send({ type: "result", taskId: task.id, token: world.tokenOf(task), outcome })[0]!;
}

function fail(world: World, item: number, retryable = false) {
  const task = taskOf(world, item);
  const failure = { code: "BROKEN", message: "it broke" };
  const outcome = { ok: false, failure, retryable } as const;
  return world.send({ type: "result", taskId: task.id, token: world.tokenOf(task), outcome })[0]!;
}

const openItems = (world: World) => [...world.tasks.values()].map(itemOf).sort((a, b) => a - b);

describe("map", () => {
  test("opens as many items as its window holds, and puts out results in their order", () => {
    const world = new World(workflow({ maxConcurrency: 3 }), { input: list(40) });
    expect(openItems(world)).toEqual([0, 1, 2]);
    complete(world, 1);
    expect(openItems(world)).toEqual([0, 2, 3]);
    while (world.tasks.size > 0) {
      expect(world.tasks.size).toBeLessThanOrEqual(3);
      complete(world, openItems(world).at(-1)!);
    }
    expect(world.status).toBe("COMPLETED");
    const results = Array.from({ length: 40 }, (_, index) => index);
    expect(world.output("end")).toEqual({ results, failures: [] });
    expect(world.history.map(({ kind }) => kind)).toEqual([
      "execution.started",
      "action.waiting",
      "action.completed",
      "action.completed",
      "execution.completed",
    ]);
  });

  test("gives tasks the item and its index", () => {
    const world = new World(workflow({}), { input: { list: ["a", "b"] } });
    expect(JSON.parse(taskOf(world, 0).parameters)).toEqual({ v: "a", i: 0 });
    expect(readHeader(taskOf(world, 0).header)).toMatchObject({
      index: 0,
      item: '"a"',
      name: "work",
    });
  });

  test("passes on the item itself without parameters", () => {
    const { parameters: _, ...map } = workflow({}).actions[0]!;
    const definition = { ...workflow({}), actions: [map, workflow({}).actions[1]!] };
    const world = new World(definition as WorkflowDefinition, {
      input: { list: [{ id: 7 }, { id: 8 }, "no object"] },
    });
    expect(world.execution.state.failure).toMatchObject({
      code: "ITEMS_FAILED",
      message: "1 of 3 items failed, more than are tolerated.",
      action: "all",
      details: { failed: 1, failures: [{ index: 2, error: { code: "INVALID_VALUE" } }] },
    });
    expect(world.tasks.size).toBe(0);
    const second = new World(definition as WorkflowDefinition, { input: { list: [{ id: 7 }] } });
    expect(taskOf(second, 0).parameters).toBe('{"id":7}');
    expect(readHeader(taskOf(second, 0).header)).not.toHaveProperty("item");
  });

  test("completes at once without items", () => {
    const world = new World(workflow({}), { input: { list: [] } });
    expect(world.output("end")).toEqual({ results: [], failures: [] });
  });

  test("retries an item as an action, and tolerates as many failures as it says", () => {
    const definition = workflow({ tolerate: "20%", retry: { retryCount: 1, jitter: 0 } });
    const world = new World(definition, { input: list(10) });
    fail(world, 4, true);
    expect(openItems(world)).not.toContain(4);
    expect(world.fireNext()).toBe(true);
    expect(readHeader(taskOf(world, 4).header).attempt).toBe(2);
    fail(world, 4, true);
    fail(world, 9);
    while (world.tasks.size > 0) complete(world, openItems(world)[0]!);
    const error = { code: "BROKEN", message: "it broke" };
    expect(world.output("end")).toEqual({
      results: [0, 1, 2, 3, null, 5, 6, 7, 8, null],
      failures: [
        { index: 4, error },
        { index: 9, error },
      ],
    });
  });

  test("drops all that is open when more fail than it tolerates, whatever that takes", () => {
    const definition = workflow({ maxConcurrency: 200, onError: { ITEMS_FAILED: "end" } });
    const world = new World(definition, { input: list(300) });
    expect(world.tasks.size).toBe(200);
    const stillHeld = taskOf(world, 150);
    fail(world, 100);
    expect(world.tasks.size).toBe(0);
    expect(world.status).toBe("COMPLETED");
    const outcome = { ok: true, output: "1" } as const;
    const token = world.tokenOf(stillHeld);
    const answer = world.send({ type: "result", taskId: stillHeld.id, token, outcome });
    expect(answer).toEqual([{ type: "stale" }]);
  });

  test("a repeated result of an item is a duplicate, and one of a task that never was is stale", () => {
    const world = new World(workflow({ retry: { retryCount: 1, jitter: 0 } }), { input: list(5) });
    const first = taskOf(world, 2);
    const outcome = { ok: true, output: "1" } as const;
    for (const id of [`${first.id}0`, first.id.replace(".2", ""), first.id.replace("all", "end")]) {
      const token = world.tokenOf({ ...first, id });
      expect(world.send({ type: "result", taskId: id, token, outcome })[0]!.type).toBe("stale");
    }
    fail(world, 2, true);
    const failed = { type: "result", taskId: first.id, token: world.tokenOf(first) } as const;
    expect(world.send({ ...failed, outcome })[0]!.type).toBe("duplicate");
    world.fireNext();
    const second = taskOf(world, 2);
    const event = { type: "result", taskId: second.id, token: world.tokenOf(second) } as const;
    expect(world.send({ ...event, outcome })[0]!.type).toBe("accepted");
    expect(world.send({ ...event, outcome })[0]!.type).toBe("duplicate");
  });

  test("a repeated result of an item between two attempts is a duplicate when the map ends with it", () => {
    const world = new World(workflow({ retry: { retryCount: 1, jitter: 0 } }), { input: list(5) });
    const first = taskOf(world, 2);
    fail(world, 2, true);
    const outcome = { ok: true, output: "1" } as const;
    const repeated = {
      type: "result",
      taskId: first.id,
      token: world.tokenOf(first),
      outcome,
    } as const;
    const open = taskOf(world, 3);
    const late = { ...repeated, taskId: open.id, token: world.tokenOf(open) };
    const cancel = { type: "operation", operation: "cancel" } as const;
    const answers = world.send(cancel, repeated, late);
    expect(answers.map(({ type }) => type)).toEqual(["accepted", "duplicate", "stale"]);
  });

  test("what is no array fails it, and what is too large too", () => {
    const invalid = new World(workflow({}), { input: { list: { a: 1 } } });
    expect(invalid.execution.state.failure).toMatchObject({
      code: "ITEMS_INVALID",
      message: 'items must find an array, not {"a":1}.',
    });
    const many = new World(workflow({}), { input: { list: Array(100_001).fill(0) } });
    expect(many.execution.state.failure).toMatchObject({
      code: "TOO_LARGE",
      message: "items finds 100001 elements; a map has at most 100000 items.",
    });
  });

  test("a pause holds what is next, also an attempt whose backoff ends", () => {
    const definition = workflow({ maxConcurrency: 2, retry: { retryCount: 1, jitter: 0 } });
    const world = new World(definition, { input: list(6) });
    fail(world, 0, true);
    world.send({ type: "operation", operation: "pause" });
    complete(world, 1);
    world.fireNext();
    expect(world.tasks.size).toBe(0);
    world.send({ type: "operation", operation: "resume" });
    expect(openItems(world)).toEqual([2]);
    world.fireNext();
    expect(openItems(world)).toEqual([0, 2]);
  });

  test("a cancel drops tasks and timers of its items", () => {
    const map = { maxConcurrency: 100, totalTimeoutSeconds: 60 };
    const world = new World(workflow(map), { input: list(150) });
    expect(world.timers.size).toBe(100);
    world.send({ type: "operation", operation: "cancel" });
    expect(world.tasks.size).toBe(0);
    expect([...world.timers.keys()]).toEqual(["retention"]);
  });

  test("totalTimeoutSeconds is that of one item", () => {
    const map = { maxConcurrency: 1, totalTimeoutSeconds: 60, tolerate: 1 };
    const world = new World(workflow(map), { input: list(2) });
    world.fireNext();
    expect(openItems(world)).toEqual([1]);
    complete(world, 1);
    expect(world.output("end")).toMatchObject({
      results: [null, 1],
      failures: [{ index: 0, error: { code: "TOTAL_TIMEOUT" } }],
    });
  });

  test("outputs that are too large for a payload can be read, up to their bound", () => {
    const text = "x".repeat(500_000);
    const definition = workflow({}, { parameters: "$.all.output.results[7]" });
    const world = new World(definition, { input: list(10) });
    for (let item = 0; item < 10; item++) complete(world, item, { item, text });
    expect(world.output("all")).toEqual({ items: 10, failed: 0 });
    expect(world.output("end")).toEqual({ item: 7, text });
    const larger = new World(definition, { input: list(40) });
    for (let item = 0; item < 40; item++) complete(larger, item, { item, text });
    expect(larger.execution.state.failure).toMatchObject({ code: "TOO_LARGE", action: "end" });
  });

  test("what a commit writes does not grow with the items", () => {
    const sizes = [100, 20_000].map((count) => {
      const world = new World(workflow({ maxConcurrency: 50 }), { input: list(count) });
      for (let item = 0; item < 40; item++) complete(world, item);
      let most = 0;
      for (const [name, text] of world.stored) {
        if (name.startsWith("item-")) most = Math.max(most, text.length);
      }
      const memory = [...world.execution.data.keys()].filter((name) => name.startsWith("item"));
      return { most, fields: memory.length, state: JSON.stringify(world.execution.state).length };
    });
    expect(sizes[1]!.most).toBeLessThan(1.1 * sizes[0]!.most);
    expect(sizes[1]!.fields).toBe(sizes[0]!.fields);
    expect(sizes[1]!.state).toBeLessThan(1.1 * sizes[0]!.state);
  });

  test("random items in any order, with failures, repeats and pauses, each end once", () => {
    const steps = fc.array(fc.tuple(fc.nat(99), fc.nat(9)), { maxLength: 400 });
    const property = fc.property(
      fc.integer({ min: 1, max: 70 }),
      fc.nat(12),
      steps,
      (n, max, all) => {
        const definition = workflow({
          maxConcurrency: max + 1,
          tolerate: n,
          retry: { retryCount: 2, jitter: 0 },
        });
        const world = new World(definition, { input: list(n) });
        const wanted = new Map<number, number | null>();
        const end = (item: number, fails: boolean) => {
          if (!fails) {
            wanted.set(item, item);
            return complete(world, item);
          }
          const isLast = readHeader(taskOf(world, item).header).attempt === 3;
          if (isLast) wanted.set(item, null);
          return fail(world, item, true);
        };
        for (const [choice, what] of all) {
          const open = openItems(world);
          expect(open.length).toBeLessThanOrEqual(max + 1);
          if (what === 0) world.send({ type: "operation", operation: "pause" });
          else if (what === 1) world.send({ type: "operation", operation: "resume" });
          else if (what === 2) world.fireNext();
          else if (open.length > 0) end(open[choice % open.length]!, what < 5);
        }
        world.send({ type: "operation", operation: "resume" });
        while (world.status === "RUNNING") {
          const [first] = openItems(world);
          if (first === undefined) expect(world.fireNext()).toBe(true);
          else end(first, false);
        }
        const results = Array.from({ length: n }, (_, item) => wanted.get(item) ?? null);
        expect(world.output("all")).toMatchObject({ results });
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  test("a retry runs again what has not completed, and nothing else", () => {
    const world = new World(workflow({ maxConcurrency: 4 }), { input: list(40) });
    for (const item of [0, 1, 2, 3, 4, 5, 6, 8, 9]) complete(world, item);
    fail(world, 7);
    expect(world.status).toBe("FAILED");
    world.send({ type: "operation", operation: "retry" });
    expect(openItems(world)).toEqual([7, 10, 11, 12]);
    expect(readHeader(taskOf(world, 7).header).attempt).toBe(1);
    while (world.tasks.size > 0) complete(world, openItems(world)[0]!);
    const results = Array.from({ length: 40 }, (_, index) => index);
    expect(world.output("end")).toEqual({ results, failures: [] });
    const text = JSON.stringify(world.output("all"));
    expect(world.record("all")!.items!.chars).toBeGreaterThanOrEqual(text.length);
    expect(world.record("all")!.items!.chars).toBeLessThan(text.length + 5);
  });

  test("maxConcurrency is changed by hand, up and down", () => {
    const world = new World(workflow({ maxConcurrency: 2 }), { input: list(20) });
    const set = (maxConcurrency: number) =>
      world.send({
        type: "operation",
        operation: "max-concurrency",
        action: "all",
        maxConcurrency,
      });
    expect(set(5)[0]!.type).toBe("accepted");
    expect(openItems(world)).toEqual([0, 1, 2, 3, 4]);
    set(1);
    for (const item of [0, 1, 2, 3]) complete(world, item);
    expect(openItems(world)).toEqual([4]);
    complete(world, 4);
    expect(openItems(world)).toEqual([5]);
    while (world.tasks.size > 0) complete(world, openItems(world)[0]!);
    expect(world.status).toBe("COMPLETED");
    expect(set(3)[0]!.type).toBe("invalid-state");
  });

  describe("over children", () => {
    function children(map: Partial<ActionSpec>): WorkflowDefinition {
      const { action: _, ...rest } = workflow({}).actions[0]!;
      const inner = { rootAction: 1, actions: [{ id: 1, type: "system", name: "transform" }] };
      const actions = [{ ...rest, definition: inner, ...map }, workflow({}).actions[1]!];
      return { ...workflow({}), actions } as WorkflowDefinition;
    }

    /** What parents ask of their children, by kind. */
    function asked(world: World, type: string) {
      const messages = world.messages.map((text) => JSON.parse(text));
      return messages.filter((message) => message.type === type);
    }

    function end(world: World, item: number, end: object) {
      const start = asked(world, "start-child").findLast(({ parent }) => parent.item === item);
      return world.send({ type: "child-ended", parent: start.parent, end } as never)[0]!;
    }

    test("starts a child for each item of its window, and puts out their results", () => {
      const world = new World(children({ maxConcurrency: 2 }), { input: list(4) });
      expect(asked(world, "start-child").map(({ input }) => input)).toEqual([
        { v: 0, i: 0 },
        { v: 10, i: 1 },
      ]);
      for (const item of [1, 0, 2, 3]) {
        expect(end(world, item, { status: "COMPLETED", output: `{"n":${item}}` }).type).toBe(
          "accepted",
        );
        expect(end(world, item, { status: "COMPLETED", output: "1" }).type).toBe("stale");
      }
      const results = [0, 1, 2, 3].map((n) => ({ n }));
      expect(world.output("end")).toEqual({ results, failures: [] });
    });

    test("a child that fails is repeated as another child, or fails its item", () => {
      const map = { retry: { retryCount: 1, jitter: 0 }, tolerate: 1 };
      const world = new World(children(map), { input: list(1) });
      const failure = { code: "BROKEN", message: "it broke" };
      end(world, 0, { status: "FAILED", failure });
      world.fireNext();
      const starts = asked(world, "start-child");
      expect(starts).toHaveLength(2);
      expect(starts[0].parent.handout).not.toBe(starts[1].parent.handout);
      end(world, 0, { status: "FAILED", failure });
      expect(world.output("end")).toMatchObject({
        results: [null],
        failures: [{ index: 0, error: { code: "CHILD_FAILED", details: { status: "FAILED" } } }],
      });
    });

    test("a cancel reaches all children, whatever that takes", () => {
      const world = new World(children({}), { input: list(150) });
      expect(asked(world, "start-child")).toHaveLength(100);
      world.send({ type: "operation", operation: "cancel" });
      expect(asked(world, "cancel-child").map(({ parent }) => parent.item)).toEqual(
        Array.from({ length: 100 }, (_, item) => item),
      );
      expect([...world.timers.keys()]).toEqual(["retention"]);
    });

    test("a failure of an earlier run that is not reached again is none of this run's", () => {
      const world = new World(children({ maxConcurrency: 3 }), { input: list(4) });
      const failed = { status: "FAILED", failure: { code: "BROKEN", message: "it broke" } };
      const resume = (parent: object) =>
        world.send({ type: "child-resumed", parent, version: 1 } as never)[0]!.type;
      const last = () => asked(world, "start-child").at(-1).parent;
      const one = { operation: "max-concurrency", action: "all", maxConcurrency: 1 } as const;
      world.send({ type: "operation", ...one });
      const old = last();
      end(world, 2, failed);
      expect([world.status, old.item]).toEqual(["FAILED", 2]);
      world.send({ type: "operation", operation: "retry" });
      const first = last();
      end(world, 0, failed);
      expect([world.status, first.item]).toEqual(["FAILED", 0]);
      expect([resume(old), resume(first)]).toEqual(["stale", "accepted"]);
      for (const item of [0, 1, 2, 3]) {
        expect(end(world, item, { status: "COMPLETED", output: `${item}` }).type).toBe("accepted");
      }
      expect(world.output("end")).toEqual({ results: [0, 1, 2, 3], failures: [] });
    });

    test("children that are retried and retries of the map, in any order, leave the counts right", () => {
      const kind = fc.constantFrom("good", "bad", "bad", "resume", "resume", "retry");
      const steps = fc.array(fc.tuple(kind, fc.nat(99)), { maxLength: 40 });
      fc.assert(
        fc.property(steps, fc.nat(2), (taken, tolerate) => {
          const world = new World(children({ tolerate, maxConcurrency: 2 }), { input: list(5) });
          const send = (event: object) => world.send(event as never)[0]!.type;
          // Some outcomes stand beside the record, others in it.
          const failure = { code: "BROKEN", message: "it broke".repeat(40) };
          const ended = (parent: { item: number }, isGood: boolean) => {
            const { item } = parent;
            const good = { status: "COMPLETED", output: `${item}` };
            const end = isGood ? good : { status: "FAILED", failure };
            return send({ type: "child-ended", parent, end });
          };
          for (const [kind, place] of taken) {
            const starts = asked(world, "start-child").map(({ parent }) => parent);
            const recent = starts.slice(-4);
            const { status } = world;
            if (kind === "retry") send({ type: "operation", operation: "retry" });
            else if (kind !== "resume") ended(recent[place % recent.length], kind === "good");
            else {
              const parent = starts[place % starts.length];
              const answer = send({ type: "child-resumed", parent, version: 1 });
              const after = answer === "accepted" ? "FAILED to RUNNING" : `${status} to ${status}`;
              expect(`${status} to ${world.status}`).toBe(after);
            }
            const { items } = world.record("all")!;
            expect(items!.failures).toHaveLength(items!.failed);
            expect(items!.failed).toBeLessThanOrEqual(tolerate + 1);
          }
          if (world.status === "FAILED") send({ type: "operation", operation: "retry" });
          while (world.status === "RUNNING") {
            const starts = asked(world, "start-child").map(({ parent }) => parent);
            expect(starts.map((parent) => ended(parent, true))).toContain("accepted");
          }
          const { items } = world.record("all")!;
          const output = world.output("end") as Record<"results" | "failures", { index: number }[]>;
          const failed = output.failures.map(({ index }) => index);
          expect([items!.failed, items!.completed]).toEqual([failed.length, 5 - failed.length]);
          const results = list(5).list.map((_, n) => (failed.includes(n) ? null : n));
          expect(output.results as unknown).toEqual(results);
          // It counts a comma for each result and failure, and there are none before the first.
          const spare = items!.chars - JSON.stringify(output).length;
          expect([spare > 0, spare <= 2]).toEqual([true, true]);
        }),
      );
    });

    test("a child that is not heard of is asked for, and started again when it is lost", () => {
      const world = new World(children({ maxConcurrency: 1 }), { input: list(1) });
      world.fireNext();
      const [ask] = asked(world, "ask-child");
      expect(ask.parent.item).toBe(0);
      world.send({ type: "child-lost", parent: ask.parent });
      const [first, second] = asked(world, "start-child");
      expect(second).toEqual(first);
    });
  });
});
