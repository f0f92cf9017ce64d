/** What an execution is said to wait for moves it when it comes, in any state of any workflow. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { unreachable } from "../../src/base/errors.ts";
import { type Wait, waitsOf } from "../../src/engine/waits.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import type { TaskOutcome } from "../../src/model/event.ts";
import { parseTaskId } from "../../src/model/ids.ts";
import { workflowArbitrary } from "../support/random-workflow.ts";
import { World } from "../support/world.ts";

const input = { value: 1, text: "x", list: [1, 2] };

function make(definition: WorkflowDefinition): World {
  return new World(definition, { input, scriptRoom: 1 });
}

/** Does what the wait says; `join` says that others must come first. */
function fulfil(world: World, wait: Wait, pick: number): void {
  switch (wait.kind) {
    case "pause":
      world.send({ type: "operation", operation: "resume" });
      break;
    case "continue":
      world.fire(world.execution.state.continueTimer!);
      break;
    case "task": {
      const failure = { code: "BROKEN", message: "it broke" };
      const outcome: TaskOutcome =
        pick % 3 === 0
          ? { ok: false, failure, retryable: true }
          : { ok: true, output: '{"value":1}' };
      const token = `0.nonce.${wait.task}`;
      world.send({ type: "result", taskId: wait.task!, token, outcome });
      break;
    }
    case "script": {
      const outcome = { ok: true as const, output: '{"result":1}' };
      world.underWay.delete(wait.record.handout!);
      world.send({ type: "script", handout: wait.record.handout!, outcome });
      break;
    }
    case "script-turn":
      world.underWay.clear();
      world.send({ type: "script-turn", handout: wait.record.handout! });
      break;
    case "signal":
      world.send({ type: "signal", event: wait.record.events![0]!, payload: "null" });
      break;
    case "delay":
    case "backoff": {
      const [timer] = wait.record.timers!.filter((id) => /^(?:delay|retry):/.test(id));
      world.now = Math.max(world.now, world.timers.get(timer!)!);
      world.fire(timer!);
      break;
    }
    case "child": {
      const { id, startedAt } = world.execution.state;
      const parent = { id, startedAt, action: wait.action.key, handout: wait.record.handout! };
      world.send({ type: "child-ended", parent, end: { status: "COMPLETED", output: "{}" } });
      break;
    }
    case "items": {
      const [task] = [...world.tasks.values()].filter(
        ({ id }) => parseTaskId(id)?.actionKey === wait.action.key,
      );
      if (task === undefined) {
        const isOfItem = (id: string) => id.split(":").at(-1)!.startsWith(`${wait.action.key}.`);
        world.fire([...world.timers.keys()].find(isOfItem)!);
      } else {
        const outcome = { ok: true as const, output: '{"value":1}' };
        world.send({ type: "result", taskId: task.id, token: `0.nonce.${task.id}`, outcome });
      }
      break;
    }
    case "sending":
      world.send({ type: "signal-sent", handout: wait.record.handout!, sent: [] });
      break;
    case "join":
      break;
    default:
      unreachable(wait);
  }
}

/** All that a decision can change, but for what only counts. */
function shown({ execution }: World): string {
  return JSON.stringify([execution.state.status, execution.state.ready, execution.records]);
}

test("a RUNNING execution waits for something, and whatever of it comes moves it", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      workflowArbitrary,
      fc.array(fc.nat(1_000), { maxLength: 40 }),
      (definition, picks) => {
        const world = make(definition);
        for (const pick of picks) {
          const waits = waitsOf(world.plan, world.execution);
          if (world.status !== "RUNNING" && world.status !== "PAUSED") {
            expect(waits).toEqual([]);
            break;
          }
          const movers = waits.filter(({ kind }) => kind !== "join");
          expect(movers).not.toEqual([]);
          if (pick % 11 === 0) {
            world.send({ type: "operation", operation: "pause" });
            expect(waitsOf(world.plan, world.execution)[0]).toEqual({ kind: "pause" });
            continue;
          }
          // During a pause its own end is what moves it.
          const next = world.status === "PAUSED" ? movers[0]! : movers[pick % movers.length]!;
          seen.set(next.kind, (seen.get(next.kind) ?? 0) + 1);
          const before = shown(world);
          fulfil(world, next, pick);
          expect([next.kind, shown(world)]).not.toEqual([next.kind, before]);
        }
      },
    ),
    { numRuns: 400 },
  );
  expect([...seen.keys()].sort()).toEqual([
    "backoff",
    "delay",
    "items",
    "pause",
    "script",
    "script-turn",
    "signal",
    "task",
  ]);
});
