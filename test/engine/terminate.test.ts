/** terminate: how it ends an execution, and what stays of the rest. */
import { expect, test } from "bun:test";
import { resultText } from "../../src/engine/decision/result.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import { World } from "../support/world.ts";

function run(terminate: object, rest: object = {}, input: unknown = { x: 1 }): World {
  const definition = {
    name: "w",
    rootAction: ["end", "other"],
    actions: [
      { id: "other", type: "user", name: "work" },
      { id: "end", type: "system", name: "terminate", ...terminate },
    ],
    ...rest,
  } as WorkflowDefinition;
  return new World(definition, { input });
}

function resultOf({ plan, execution }: World): unknown {
  return JSON.parse(resultText(plan, execution.records, (name) => execution.data.get(name))!);
}

test("its output is the result, before that of the definition", () => {
  const world = run({ status: "COMPLETED", output: { is: "$.input.x" } }, { output: "other" });
  expect(world.status).toBe("COMPLETED");
  expect(resultOf(world)).toEqual({ is: 1 });
  expect(world.statusOf("other")).toBe("CANCELLED");
  expect(world.tasks.size).toBe(0);
});

test("without an output the result is the definition's, or made of the other actions", () => {
  expect(resultOf(run({ status: "COMPLETED" }, { output: "$.input.x" }))).toBe(1);
  expect(resultOf(run({ status: "COMPLETED" }))).toBe(null);
});

test("FAILED has its code and its reason, which may be any value", () => {
  const failure = (terminate: object) => run({ status: "FAILED", ...terminate }).execution.state;
  expect(failure({}).failure).toEqual({
    code: "TERMINATED",
    message: "The action end ended the execution.",
    action: "end",
  });
  const named = failure({ code: "NO_{$.input.x}", reason: "$.input" });
  expect(named.failure).toEqual({ code: "NO_1", message: '{"x":1}', action: "end" });
  expect(run({ status: "FAILED" }).statusOf("end")).toBe("COMPLETED");
});

test("a code that is no text, and a missing reference where it is strict, fail the action", () => {
  const world = run({ status: "FAILED", code: "$.input.x" });
  expect(world.execution.state.failure).toEqual({
    code: "INVALID_VALUE",
    message: "code must be text of 1 to 128 characters, not 1.",
    action: "end",
  });
  const strict = run({ status: "COMPLETED", output: "$.input.y", strict: true });
  expect(strict.execution.state.failure?.code).toBe("REFERENCE_NOT_FOUND");
});

test("the follow-up gets what the action put out", () => {
  const world = run({ status: "COMPLETED", output: [1] }, { onSuccess: { workflow: "after" } });
  expect(JSON.parse(world.messages[0]!).input).toMatchObject({ output: [1] });
});
