/**
 * Random workflows in a random world: results come in any order, fail, come twice; leases lapse;
 * timers fire; somebody pauses, resumes, cancels. World checks the invariants after each decision.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import { workflowArbitrary } from "../support/random-workflow.ts";
import { World } from "../support/world.ts";

const stepsMax = 3_000;
const settled = ["COMPLETED", "SKIPPED", "FAILED", "TIMED_OUT"];
const ended = ["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED", "PENDING"];

/** One step of the world, chosen by a number; false when nothing at all can happen any more. */
function step(world: World, choice: number, options: { operations: boolean }): boolean {
  const tasks = [...world.tasks.values()];
  const kinds = ["result", "result", "script", "timer", "signal", "signal"];
  if (options.operations) kinds.push("operation", "expiry", "repeat");
  const kind = kinds[choice % kinds.length];
  const pick = Math.floor(choice / kinds.length);
  const task = tasks[pick % Math.max(tasks.length, 1)];
  switch (kind) {
    case "result":
      if (task !== undefined) finishRandomly(world, task.id, pick);
      break;
    case "repeat":
      if (task !== undefined) {
        finishRandomly(world, task.id, 0);
        finishRandomly(world, task.id, 0);
      }
      break;
    case "expiry":
      if (task !== undefined) {
        const token = world.tokenOf(task);
        const heartbeat = pick % 2 === 0;
        world.send({ type: "lease-expired", taskId: task.id, token, leaseUntil: 0, heartbeat });
      }
      break;
    case "script":
      runScript(world, pick);
      break;
    case "timer":
      world.fireNext();
      break;
    case "signal":
      signalSomething(world, pick);
      break;
    case "operation": {
      const operation = pick % 50 === 0 ? "cancel" : pick % 2 === 0 ? "pause" : "resume";
      world.send({ type: "operation", operation });
      break;
    }
  }
  return world.status === "RUNNING" || world.status === "PAUSED";
}

function finishRandomly(world: World, taskId: string, pick: number): void {
  const token = `0.nonce.${taskId}`;
  const codes = ["BROKEN", "CARD_DECLINED", "A", "B"];
  const outcome =
    pick % 4 === 3
      ? {
          ok: false as const,
          failure: { code: codes[pick % codes.length]!, message: "no" },
          retryable: pick % 3 !== 0,
        }
      : { ok: true as const, output: JSON.stringify({ value: pick % 3, text: String(pick % 5) }) };
  world.send({ type: "result", taskId, token, outcome });
}

function runScript(world: World, pick: number): void {
  const script = world.scripts.shift();
  if (script === undefined) return;
  const outcome =
    pick % 7 === 6
      ? { ok: false as const, code: "SCRIPT_ERROR" as const, message: "threw" }
      : { ok: true as const, output: '{"result":1}' };
  world.send({ type: "script", handout: script.handout, outcome });
}

function signalSomething(world: World, pick: number): void {
  const event = ["go", "stop", "never"][pick % 3]!;
  if (world.plan.actions.some(({ kind }) => kind === "wait"))
    world.send({ type: "signal", event, payload: "null" });
}

/** Every edge of an action that started must have been decided as its join demands. */
function checkJoins(world: World): void {
  for (const action of world.plan.actions) {
    const starts = world.startsOf.get(action.key) ?? 0;
    expect(starts, `${action.key} started ${starts} times`).toBeLessThanOrEqual(1);
    if (starts === 0 || !["all", "succeeded", "settled"].includes(String(action.join))) continue;
    for (const source of world.plan.actions) {
      if (!source.targets.includes(action.index)) continue;
      const status = world.statusOf(source.key);
      const lostRace = world.record(source.key)?.skippedBy === "lost-race";
      expect(lostRace ? ["CANCELLED", "SKIPPED"] : settled).toContain(status);
    }
  }
}

function runToEnd(
  definition: WorkflowDefinition,
  choices: readonly number[],
  options: { operations: boolean },
): World {
  const world = new World(definition, { input: { value: 1, text: "x", list: [1, 2] } });
  let steps = 0;
  for (const choice of choices) {
    if (!step(world, choice, options)) break;
    checkJoins(world);
    steps += 1;
  }
  // Then everybody is well-behaved: it must come to its end by itself.
  while (world.status === "RUNNING" || world.status === "PAUSED") {
    expect(steps, "it never ends").toBeLessThan(stepsMax);
    steps += 1;
    if (world.status === "PAUSED") world.send({ type: "operation", operation: "resume" });
    const [task] = world.tasks.keys();
    if (task !== undefined) finishRandomly(world, task, 0);
    else if (world.scripts.length > 0) runScript(world, 0);
    else if (!world.fireNext()) signalSomething(world, steps);
    checkJoins(world);
  }
  return world;
}

/** With the choices beside it: a total timeout that comes due in a pause, in which its action ends. */
const heldTotal: WorkflowDefinition = {
  name: "held",
  rootAction: [0, 3],
  actions: [
    { id: 0, type: "user", name: "work-2", totalTimeoutSeconds: 600 },
    { id: 3, type: "user", name: "work-0" },
  ],
  timeoutSeconds: 3_600,
};

const choicesArbitrary = fc.array(fc.nat(1_000_000), { maxLength: 60 });

describe("any workflow, whatever happens", () => {
  test("ends, starts every action at most once, and leaves nothing behind", () => {
    fc.assert(
      fc.property(workflowArbitrary, choicesArbitrary, (definition, choices) => {
        const world = runToEnd(definition, choices, { operations: true });
        expect(world.tasks.size).toBe(0);
        expect([...world.timers.keys()]).toEqual(["retention"]);
        for (const action of world.plan.actions) {
          expect(ended).toContain(world.statusOf(action.key));
        }
      }),
      { numRuns: 300, examples: [[heldTotal, [681_036, 488_064, 0]]] },
    );
  });

  test("without failures and operations it completes, and every action is decided", () => {
    fc.assert(
      fc.property(workflowArbitrary, (definition) => {
        const world = runToEnd(definition, [], { operations: false });
        if (world.status !== "COMPLETED") {
          // Only a routing or value problem of the workflow's own may end it otherwise.
          expect(world.execution.state.failure?.code).toMatch(
            /NO_MATCHING_ROUTE|JOIN_NOT_MET|INVALID_VALUE|REFERENCE_NOT_FOUND|EXECUTION_TIMEOUT|TOTAL_TIMEOUT/,
          );
          return;
        }
        for (const action of world.plan.actions) {
          // A failure that is left must have been routed.
          const handled = world.record(action.key)?.route !== undefined ? ["FAILED"] : [];
          const status = world.statusOf(action.key);
          const lost = world.record(action.key)?.skippedBy === "lost-race" ? ["CANCELLED"] : [];
          expect(["COMPLETED", "SKIPPED", ...handled, ...lost]).toContain(status);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("the same events give the same history", () => {
    fc.assert(
      fc.property(workflowArbitrary, choicesArbitrary, (definition, choices) => {
        const one = runToEnd(definition, choices, { operations: true });
        const other = runToEnd(definition, choices, { operations: true });
        expect(other.history).toEqual(one.history);
      }),
      { numRuns: 50 },
    );
  });
});
