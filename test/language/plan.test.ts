import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compilePlan, type Plan } from "../../src/language/plan.ts";
import type { ActionSpec, WorkflowDefinition } from "../../src/model/definition.ts";
import { workflowArbitrary } from "../support/random-workflow.ts";

function definitionOf(actions: readonly Partial<ActionSpec>[], more = {}): WorkflowDefinition {
  const full = actions.map((action) => ({ type: "user", name: "work", ...action }) as ActionSpec);
  return { name: "test", rootAction: full[0]!.id, actions: full, ...more };
}

function keysOf(plan: Plan): string[] {
  return plan.actions.map((action) => action.key);
}

function actionOf(plan: Plan, key: string) {
  return plan.actions[plan.byKey.get(key)!]!;
}

describe("order", () => {
  test("a definition that is written in order keeps it", () => {
    const plan = compilePlan(
      definitionOf([{ id: 5, next: { default: [9, 2] } }, { id: 2 }, { id: 9 }]),
      1,
    );
    expect(keysOf(plan)).toEqual(["5", "2", "9"]);
  });

  test("an action comes after all that lead to it, wherever it is written", () => {
    const plan = compilePlan(
      definitionOf(
        [
          { id: "last" },
          { id: "b", onError: { default: "last" } },
          { id: "a", next: { default: ["b", "last"] } },
        ],
        { rootAction: "a" },
      ),
      1,
    );
    expect(keysOf(plan)).toEqual(["a", "b", "last"]);
    expect(plan.roots).toEqual([0]);
    expect(actionOf(plan, "last").incoming).toBe(2);
  });

  test("1,000 actions in a row need no stack, nor do their scripts' ancestors", () => {
    const row = Array.from({ length: 1_000 }, (_, id): Partial<ActionSpec> => {
      const next = id < 999 ? { next: { default: id + 1 } } : {};
      return { id, type: "system", name: "javascript", expression: "1", ...next };
    });
    const plan = compilePlan(definitionOf(row.reverse(), { rootAction: 0 }), 1);
    expect(plan.actions.map((action) => action.id)).toEqual(row.map((_, at) => at));
    expect(plan.actions[999]!.needs.outputs).toHaveLength(999);
    expect(plan.actions[0]!.needs.outputs).toEqual([]);
  });
});

describe("edges", () => {
  test("several from one action to another count once, whatever the route", () => {
    const plan = compilePlan(
      definitionOf([
        { id: 1, next: { default: [2, 2, 3] }, onError: { A: 2, B: [2, 4] } },
        { id: 2 },
        { id: 3 },
        { id: 4 },
      ]),
      1,
    );
    const first = plan.actions[0]!;
    expect(first.targets).toEqual([1, 2, 3]);
    expect(first.next.get("default")).toEqual([1, 2]);
    expect(first.onError.get("B")).toEqual([1, 3]);
    expect([...first.nextTargets]).toEqual([1, 2]);
    expect(actionOf(plan, "2").incoming).toBe(1);
  });

  test("an empty list is a route of its own; odd names are names", () => {
    const next = JSON.parse('{"default":[],"__proto__":2,"constructor":2}');
    const expression = "$.input.route";
    const plan = compilePlan(
      definitionOf([{ id: 1, type: "system", name: "switch", expression, next }, { id: 2 }]),
      1,
    );
    expect([...plan.actions[0]!.next]).toEqual([
      ["default", []],
      ["__proto__", [1]],
      ["constructor", [1]],
    ]);
  });
});

describe("actions", () => {
  test("words get numbers of their own, which do not change with what follows", () => {
    const numbers = (ids: (string | number)[]) =>
      compilePlan(
        definitionOf(
          ids.map((id) => ({ id })),
          { rootAction: ids },
        ),
        1,
      ).actions.map((action) => action.number);
    expect(numbers(["a", 1, "b", 3, 0])).toEqual([2, 1, 4, 3, 0]);
    expect(numbers(["a", 1, "b", 3])).toEqual([2, 1, 4, 3]);
  });

  test("types and kinds are known in any letter case, and by their older names", () => {
    const plan = compilePlan(
      definitionOf([
        { id: 1, type: "USER" as "user", next: { default: 2 } },
        { id: 2, type: "System" as "system", name: "JsonMapper", next: { default: 3 } },
        { id: 3, type: "SYSTEM" as "system", name: "Delay", delaySeconds: "$.input.s" },
      ]),
      1,
    );
    expect(plan.actions.map((action) => action.kind)).toEqual(["user", "transform", "delay"]);
    expect(plan.userActionNames).toEqual(["work"]);
  });

  test("needs name all that is read when an action starts, wherever it is written", () => {
    const plan = compilePlan(
      definitionOf([
        { id: 1, next: { default: ["s", "d", "w", "j"] } },
        { id: "s", type: "system", name: "switch", expression: "{$1.output.key}", strict: true },
        { id: "d", type: "system", name: "delay", delaySeconds: "$.input.s", parameters: "$.1" },
        { id: "w", type: "system", name: "wait", event: "e", timeoutSeconds: "{$1.output.t}" },
        { id: "j", type: "system", name: "javascript", expression: "$.x = 1" },
      ]),
      1,
    );
    expect(actionOf(plan, "1").needs).toEqual({ outputs: [], input: false });
    expect(actionOf(plan, "s").needs).toEqual({ outputs: ["1"], input: false });
    expect(actionOf(plan, "d").needs).toEqual({ outputs: ["1"], input: true });
    expect(actionOf(plan, "w").needs).toEqual({ outputs: ["1"], input: false });
    expect(actionOf(plan, "j").needs).toEqual({ outputs: ["1"], input: true, failure: true });
    expect(actionOf(plan, "s").strict).toBe(true);
  });

  test("a user action carries its queue and what overrides its definition", () => {
    const plan = compilePlan(
      definitionOf([
        {
          id: 1,
          name: "charge",
          queue: "gpu",
          priority: -3,
          retry: { retryCount: 7 },
          timeoutSeconds: 9,
        },
      ]),
      1,
    );
    expect(plan.actions[0]).toMatchObject({
      queueKey: "gpu/charge",
      priority: -3,
      overrides: { retryCount: 7, timeoutSeconds: 9 },
    });
  });

  test("follow-ups and times of the definition", () => {
    const onFailure = { workflow: "after", parameters: { id: "$.execution.id" } };
    const plan = compilePlan(definitionOf([{ id: 1 }], { onFailure, timeoutSeconds: 0.5 }), 4);
    expect(plan.onSuccess).toBe("NOOP");
    expect(plan.onFailure).toMatchObject({ workflow: "after" });
    expect(plan.timeoutMs).toBe(500);
    expect(plan.version).toBe(4);
  });
});

test("every random workflow compiles to a plan that holds together", () => {
  fc.assert(
    fc.property(workflowArbitrary, (definition) => {
      const plan = compilePlan(definition, 1);
      const incoming = new Map<number, number>();
      for (const [position, action] of plan.actions.entries()) {
        expect(action.index).toBe(position);
        expect(plan.byKey.get(action.key)).toBe(position);
        expect(new Set(action.targets).size).toBe(action.targets.length);
        const routed = [...action.next.values(), ...action.onError.values()].flat();
        expect(new Set(routed)).toEqual(new Set(action.targets));
        for (const target of action.targets) {
          expect(target).toBeGreaterThan(position);
          incoming.set(target, (incoming.get(target) ?? 0) + 1);
        }
      }
      for (const action of plan.actions)
        expect(action.incoming).toBe(incoming.get(action.index) ?? 0);
      expect(plan.roots).toEqual(
        plan.actions.filter((action) => action.incoming === 0).map((action) => action.index),
      );
      expect(new Set(plan.actions.map((action) => action.number)).size).toBe(plan.actions.length);
      expect(plan.actions.map((action) => action.id).sort()).toEqual(
        definition.actions.map((action) => action.id).sort(),
      );
    }),
    { numRuns: 500 },
  );
});
