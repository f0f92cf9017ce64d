/** loop: when it asks, what each round gets, and that it does not grow with its rounds. */
import { describe, expect, test } from "bun:test";
import { encodeState } from "../../src/engine/stored/codec.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import type { ScriptOutcome } from "../../src/model/event.ts";
import { currentFormat } from "../../src/model/format.ts";
import type { ChildEnd, StartChildMessage } from "../../src/model/message.ts";
import { World } from "../support/world.ts";

const below = (most: number) => ({ not: { ref: "$.iteration", gte: most } });

function run(action: object, options: ConstructorParameters<typeof World>[1] = {}): World {
  const loop = { id: "l", type: "system", name: "loop", workflow: "child", maxIterations: 9 };
  const definition = {
    name: "w",
    rootAction: "l",
    actions: [{ ...loop, while: below(3), ...action }],
  };
  return new World(definition as WorkflowDefinition, { versions: { child: 7 }, ...options });
}

function rounds(world: World): StartChildMessage[] {
  const sent = world.messages.map((body) => JSON.parse(body));
  return sent.filter(({ type }) => type === "start-child");
}

function end(world: World, ended: ChildEnd): void {
  const { parent } = rounds(world).at(-1)!;
  expect(world.send({ type: "child-ended", parent, end: ended })).toEqual([{ type: "accepted" }]);
}

function answer(world: World, outcome: ScriptOutcome): void {
  const { handout } = world.scripts.at(-1)!;
  world.send({ type: "script", handout, outcome });
}

describe("a condition", () => {
  test("is asked before each round, and each round gets the result of the last one", () => {
    const world = run({});
    for (const output of ["10", "20", "30"]) end(world, { output });
    const inputs = rounds(world).map((round) => (round as unknown as { input: unknown }).input);
    expect(inputs).toEqual([
      { last: null, iteration: 0 },
      { last: 10, iteration: 1 },
      { last: 20, iteration: 2 },
    ]);
    expect(world.output("l")).toEqual({ iterations: 3, last: 30 });
    expect(world.status).toBe("COMPLETED");
    expect(world.execution.data.has("last:l")).toBe(false);
  });

  test("that does not hold at first starts nothing", () => {
    const world = run({ while: below(0) });
    expect(world.output("l")).toEqual({ iterations: 0, last: null });
    expect(world.messages).toEqual([]);
  });

  test("that still holds after maxIterations fails it", () => {
    const world = run({ while: below(9), maxIterations: 2 });
    end(world, { output: "1" });
    end(world, { output: "2" });
    expect(world.execution.state.failure).toEqual({
      code: "LOOP_LIMIT",
      message: "The condition still holds after 2 rounds, the most that maxIterations allows.",
      action: "l",
    });
  });
});

test("a script is asked with $.last and $.iteration, and what is truthy goes on", () => {
  const world = run({ while: "$.last !== 'done'" });
  for (const last of ["null", '"x"', '"x"']) {
    expect(world.scripts.at(-1)).toMatchObject({ isCondition: true, actions: { last } });
    answer(world, { ok: true, output: "true" });
    end(world, { output: '"x"' });
  }
  expect(world.scripts.map(({ actions }) => actions.iteration)).toEqual(["0", "1", "2", "3"]);
  answer(world, { ok: true, output: "false" });
  expect(world.output("l")).toEqual({ iterations: 3, last: "x" });
});

test("a failed round fails it, and so does a script", () => {
  const world = run({});
  end(world, { status: "FAILED", failure: { code: "BROKEN", message: "it broke" } });
  expect(world.execution.state.failure).toMatchObject({
    code: "CHILD_FAILED",
    details: { error: { code: "BROKEN" } },
  });
  const scripted = run({ while: "x.y" });
  answer(scripted, { ok: false, code: "SCRIPT_ERROR", message: "x is not defined" });
  expect(scripted.execution.state.failure?.code).toBe("SCRIPT_ERROR");
});

test("between two rounds it waits for delaySeconds, and a pause holds the next one", () => {
  const world = run({ delaySeconds: "{$.iteration}0" });
  end(world, { output: "1" });
  expect(world.record("l")).toMatchObject({ status: "WAITING", dueAt: world.now + 10_000 });
  world.send({ type: "operation", operation: "pause" });
  world.fireNext();
  expect(rounds(world)).toHaveLength(1);
  world.send({ type: "operation", operation: "resume" });
  expect(rounds(world)).toHaveLength(2);
});

test("a cancel reaches the round that is open, and none that waits to begin", () => {
  const world = run({ delaySeconds: 5 });
  const types = () => world.messages.map((body) => JSON.parse(body).type);
  const other = run({});
  other.send({ type: "operation", operation: "cancel" });
  expect(JSON.parse(other.messages.at(-1)!)).toMatchObject({ type: "cancel-child", version: 7 });
  end(world, { output: "1" });
  world.send({ type: "operation", operation: "cancel" });
  expect(types()).toEqual(["start-child"]);
  expect(world.timers.size).toBe(1);
});

test("a round that is lost is started again, with the same data", () => {
  const world = run({});
  end(world, { output: "[1]" });
  world.fireNext();
  expect(JSON.parse(world.messages.at(-1)!)).toMatchObject({ type: "ask-child" });
  const lost = rounds(world).at(-1)!;
  world.send({ type: "child-lost", parent: lost.parent });
  expect(rounds(world).at(-1)!).toEqual(lost);
});

test("a round that is retried by hand goes on, and the loop with it", () => {
  const world = run({});
  end(world, { output: '"first"' });
  const { parent } = rounds(world).at(-1)!;
  end(world, { status: "FAILED", failure: { code: "BROKEN", message: "it broke" } });
  expect(world.status).toBe("FAILED");
  world.send({ type: "child-resumed", parent, version: 7 });
  expect(world.record("l")).toMatchObject({ status: "WAITING", rounds: 1 });
  end(world, { output: '"second"' });
  end(world, { output: '"third"' });
  expect(world.output("l")).toEqual({ iterations: 3, last: "third" });
});

test("a retry by hand repeats the round that failed, and a rerun all of them", () => {
  const world = run({});
  end(world, { output: '"first"' });
  for (const retries of [1, 2]) {
    end(world, { status: "FAILED", failure: { code: "BROKEN", message: "it broke" } });
    world.send({ type: "operation", operation: "retry" });
    expect(rounds(world)).toHaveLength(2 + retries);
    expect(rounds(world).at(-1)).toMatchObject({ input: { last: "first", iteration: 1 } });
  }
  world.send({ type: "operation", operation: "pause" });
  world.send({ type: "operation", operation: "rerun", action: "l" });
  expect(rounds(world).at(-1)).toMatchObject({ input: { last: null, iteration: 0 } });
  expect(world.stored.has("last:l")).toBe(false);
});

test("a retry by hand of a cancelled loop asks again, and goes on from the last round", () => {
  const world = run({ delaySeconds: 5 });
  end(world, { output: '"first"' });
  world.send({ type: "operation", operation: "cancel" });
  world.send({ type: "operation", operation: "retry" });
  expect(rounds(world).at(-1)).toMatchObject({ input: { last: "first", iteration: 1 } });
});

test("a retry by hand after maxIterations begins with the first round", () => {
  const world = run({ while: below(9), maxIterations: 1 });
  end(world, { output: "1" });
  expect(world.execution.state.failure?.code).toBe("LOOP_LIMIT");
  world.send({ type: "operation", operation: "retry" });
  expect(rounds(world).at(-1)).toMatchObject({ input: { last: null, iteration: 0 } });
});

test("a thousand rounds are kept in no more room than ten", () => {
  const world = run({ while: below(1_000), maxIterations: 1_000 });
  const chars = () =>
    encodeState(world.execution, currentFormat).length +
    [...world.execution.data.values()].reduce((sum, text) => sum + text.length, 0);
  let after10 = 0;
  for (let round = 1; round <= 1_000; round++) {
    if (round === 11) after10 = chars();
    if (round === 1_000) expect(chars()).toBeLessThan(after10 + 40);
    end(world, { output: '"result"' });
  }
  expect(world.output("l")).toEqual({ iterations: 1_000, last: "result" });
  expect(world.history.length).toBeLessThan(10);
});
