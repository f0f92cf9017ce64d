import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../src/base/limits.ts";
import { checkActionDefinition, checkDefinition } from "../../src/language/check/check.ts";
import { compilePlan } from "../../src/language/plan.ts";
import order from "../support/examples/order.json";
import seed from "../support/examples/seed.json";
import { workflowArbitrary } from "../support/random-workflow.ts";

const strict = { lenient: false };
const lenient = { lenient: true };

/** A user action and whatever else is to be checked with it. */
function definitionOf(actions: readonly object[], more: object = {}): object {
  const first = { id: "first", type: "user", name: "work" };
  return { name: "test", rootAction: "first", actions: [first, ...actions], ...more };
}

/** One action that the first one leads to. */
function withAction(action: object, more: object = {}): object {
  const first = { id: "first", type: "user", name: "work", next: { default: "it" } };
  const it = { id: "it", type: "system", ...action };
  return { name: "test", rootAction: "first", actions: [first, it], ...more };
}

function problemsOf(definition: unknown): string[] {
  const { problems } = checkDefinition(definition, strict);
  return problems.map(({ pointer, message }) => `${pointer}: ${message}`);
}

function warningsOf(definition: unknown): string[] {
  const { problems, warnings } = checkDefinition(definition, strict);
  expect(problems).toEqual([]);
  return warnings.map(({ pointer, message }) => `${pointer}: ${message}`);
}

/** Exactly one problem, at this place, which says this. */
function expectProblem(definition: unknown, pointer: string, says: string): void {
  const found = problemsOf(definition);
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith(`${pointer}: `);
  expect(found[0]).toContain(says);
}

describe("what is right", () => {
  test.each([
    ["seed", seed],
    ["order", order],
  ])("the example %s is accepted unchanged, over both routes", (_, definition) => {
    for (const options of [strict, lenient]) {
      const checked = checkDefinition(definition, options);
      expect(checked.problems).toEqual([]);
      expect(checked.warnings).toEqual([]);
      expect(checked.definition).toEqual(definition as never);
      expect(checked.scripts).toHaveLength(1);
    }
  });

  test("every random workflow is accepted unchanged", () => {
    fc.assert(
      fc.property(workflowArbitrary, (definition) => {
        const checked = checkDefinition(definition, strict);
        expect(checked.problems).toEqual([]);
        expect(checked.definition).toEqual(definition);
      }),
      { numRuns: 500 },
    );
  });

  test("letter case and older names are made uniform; the version is the server's", () => {
    const { definition } = checkDefinition(
      withAction({ type: "SYSTEM", name: "jsonMapper", parameters: "$.input" }, { version: 7 }),
      strict,
    );
    expect(definition).not.toHaveProperty("version");
    expect(definition?.actions[1]).toEqual({
      id: "it",
      type: "system",
      name: "transform",
      parameters: "$.input",
    });
  });

  test("the parameters of a map may use item and index, and what comes before it", () => {
    const map = { name: "map", items: "$.input.list", action: "a" };
    const parameters = { i: "{$.item.x} {$.index}", output: "$.item.output.y" };
    expect(warningsOf(withAction({ ...map, parameters }))).toEqual([]);
    expect(problemsOf(withAction({ ...map, parameters: { a: "$.it.output" } }))).toEqual([
      '/actions/1/parameters/a: "$.it.output" must name an action that comes before this one: all its items must find the same.',
    ]);
    expect(problemsOf(withAction({ ...map, parameters: { a: "$.last" } }))).toHaveLength(1);
  });

  test("names that a map or a loop adds do not exist in a user action that is called the same", () => {
    const action = { type: "user", name: "map", parameters: { i: "$.item" } };
    const [problem] = checkDefinition(withAction(action), strict).problems;
    expect(problem?.pointer).toBe("/actions/1/parameters/i");
    expect(problem?.message).toContain("exists only in the templates of a map action");
  });

  test("scripts are handed out with their places, to be parsed by the sandbox", () => {
    const action = { name: "javascript", expression: "$.x = 1" };
    expect(checkDefinition(withAction(action), strict).scripts).toEqual([
      { pointer: "/actions/1/expression", expression: "$.x = 1" },
    ]);
  });

  test("properties of $ that a script sets under a name that means something else already", () => {
    const said = (expression: string) => {
      const actions = [
        { id: "first", type: "user", name: "work", next: { default: ["it", "beside"] } },
        { id: "it", type: "system", name: "javascript", expression, next: { default: 7 } },
        { id: "beside", type: "system", name: "transform" },
        { id: 7, type: "system", name: "transform" },
      ];
      const found = warningsOf({ name: "test", rootAction: "first", actions });
      return found.map(
        (text) => /^\/actions\/1\/expression: The script sets "(\w+)"/.exec(text)?.[1],
      );
    };
    expect(said("$.first = 1; $['beside'] += 2; $.beside++; $[`first`] ??= 3")).toEqual([
      "first",
      "beside",
    ]);
    expect(said("$.input = 1; $ [ 'execution' ] = 2")).toEqual(["input", "execution"]);
    // What is only changed inside, compared or read, and names of what cannot have run.
    expect(said("$.first.output = 1; $.first == 2; $.first >= 3; $.it = 4; $[7] = 5")).toEqual([]);
    expect(said("// $.first = 1\n'$.first = 2'; /* $.first = 3 */ a.$.first = 4")).toEqual([]);
  });

  test("a script of any form is looked through once", () => {
    const parts = ["$['a", "/*a", "'a\\\n", '"\\', "$ ", "$[ ", "$.first ", "`", "$['first']"];
    for (const part of parts) {
      const count = Math.floor(limits.expressionCharsMax / part.length);
      const startedAt = process.cpuUsage();
      warningsOf(withAction({ name: "javascript", expression: part.repeat(count) }));
      const { user } = process.cpuUsage(startedAt);
      // Quadratic work takes seconds.
      expect([part, user < 500_000]).toEqual([part, true]);
    }
  });

  test("__proto__ is data, and stays where it was", () => {
    const text = JSON.stringify(withAction({ name: "transform", parameters: { p: 1 } })).replace(
      '"p"',
      '"__proto__"',
    );
    const { definition } = checkDefinition(JSON.parse(text), strict);
    expect(JSON.stringify(definition)).toBe(text);
  });
});

describe("fields", () => {
  test.each([
    ["a workflow that is none", null, "", "must be an object"],
    ["an unknown field", definitionOf([], { ouput: 1 }), "/ouput", '"output"'],
    ["a bad name", definitionOf([], { name: "a b" }), "/name", "letters"],
    ["a missing name", definitionOf([], { name: undefined }), "", 'needs the field "name"'],
    ["no actions", { name: "a", rootAction: 1, actions: [] }, "/actions", "array of actions"],
    ["a negative time", definitionOf([], { timeoutSeconds: -1 }), "/timeoutSeconds", "from 0"],
    ["a time as text", definitionOf([], { timeoutSeconds: "9" }), "/timeoutSeconds", "number"],
    ["a follow-up", definitionOf([], { onSuccess: "DELTE" }), "/onSuccess", '"DELETE"'],
    ["a follow-up's name", definitionOf([], { onFailure: {} }), "/onFailure", '"workflow"'],
    ["a bad template", definitionOf([], { output: ["$.["] }), "/output/0", "not a reference"],
    ["a kind", withAction({ name: "swich" }), "/actions/1/name", '"switch"'],
    ["a type", withAction({ type: "sytem", name: "delay" }), "/actions/1/type", '"system"'],
    ["a field's name", withAction({ name: "transform", nxt: {} }), "/actions/1/nxt", '"next"'],
    ["a route's form", withAction({ name: "transform", next: 5 }), "/actions/1/next", "default"],
    ["a join", withAction({ name: "transform", join: "al" }), "/actions/1/join", '"all"'],
    ["no expression", withAction({ name: "switch" }), "/actions/1", '"expression"'],
    [
      "a switch on a text",
      withAction({ name: "switch", expression: "status {$.input.a}" }),
      "/actions/1/expression",
      "one reference",
    ],
    ["a delay without a time", withAction({ name: "delay" }), "/actions/1", "has neither"],
    [
      "a delay with two times",
      withAction({ name: "delay", delaySeconds: 1, until: "2030-01-01T00:00Z" }),
      "/actions/1",
      "has both",
    ],
    [
      "a month that is none",
      withAction({ name: "delay", until: "2030-13-01T00:00:00Z" }),
      "/actions/1/until",
      "ISO 8601",
    ],
    [
      "a day that is none",
      withAction({ name: "delay", until: "2030-04-31" }),
      "/actions/1/until",
      "ISO 8601",
    ],
    [
      "a delay into the past",
      withAction({ name: "delay", delaySeconds: -1 }),
      "/actions/1/delaySeconds",
      "from 0",
    ],
    [
      "a reserved event",
      withAction({ name: "wait", event: ["go", "timeout"] }),
      "/actions/1/event/1",
      "reserved",
    ],
    [
      "a route without an event",
      withAction({ name: "wait", event: "picked-up", next: { "piked-up": [] } }),
      "/actions/1/next/piked-up",
      '"picked-up"',
    ],
    [
      "a field of another kind",
      withAction({ name: "delay", delaySeconds: 1, event: "x" }),
      "/actions/1/event",
      "only wait and signal actions",
    ],
    [
      "parameters of a worker that are no object",
      withAction({ type: "user", name: "a", parameters: "text" }),
      "/actions/1/parameters",
      "must be an object",
    ],
    [
      "retry rules",
      withAction({ type: "user", name: "a", retry: { retryCont: 1 } }),
      "/actions/1/retry/retryCont",
      '"retryCount"',
    ],
    [
      "a priority out of range",
      withAction({ type: "user", name: "a", priority: 101 }),
      "/actions/1/priority",
      "from -100 to 100",
    ],
    ["a map over nothing", withAction({ name: "map", items: "$.input" }), "/actions/1", "has none"],
  ])("%s", (_, definition, pointer, says) => {
    expectProblem(definition, pointer, says);
  });

  test.each([["input"], ["execution"], ["item"], ["index"], ["route"], ["last"], ["iteration"]])(
    "the id %s is reserved",
    (id) => {
      const action = { id, type: "user", name: "a" };
      expectProblem(
        { name: "a", rootAction: 1, actions: [one, action] },
        "/actions/1/id",
        "reserved",
      );
    },
  );

  test.each([[-1], [1.5], [2 ** 31], ["7"], ["a b"], [""], [null], ["x".repeat(65)]])(
    "%j is no id",
    (id) => {
      const action = { id, type: "user", name: "a" };
      const found = problemsOf({ name: "a", rootAction: 1, actions: [one, action] });
      expect(found).toHaveLength(1);
      expect(found[0]).toStartWith("/actions/1/id: ");
    },
  );

  test("a pointer escapes what it names", () => {
    expectProblem(definitionOf([], { output: { "a/b~c": "$." } }), "/output/a~1b~0c", "reference");
  });

  test("delays and waits take numbers, numerals and templates", () => {
    for (const delaySeconds of [0, 0.5, "10", "$.input.s", "{$.input.s}", "1{$.input.zeros}"]) {
      expect(problemsOf(withAction({ name: "delay", delaySeconds }))).toEqual([]);
    }
    for (const until of ["2030-01-31T10:00Z", "2030-01-31T10:00:00.5+02:00", "$.input.at"]) {
      expect(problemsOf(withAction({ name: "delay", until }))).toEqual([]);
    }
    for (const delaySeconds of ["soon", true, {}, "-1"]) {
      expect(problemsOf(withAction({ name: "delay", delaySeconds }))).toHaveLength(1);
    }
  });

  test("old definitions go on loading: unknown fields and nulls are dropped", () => {
    const action = { name: "delay", delaySeconds: 1, color: "red", event: "x", onError: null };
    const old = withAction(action, { owner: "me", description: null });
    const { definition, problems, warnings } = checkDefinition(old, lenient);
    expect(problems).toEqual([]);
    expect(warnings.map((warning) => warning.pointer)).toEqual([
      "/actions/1/color",
      "/actions/1/event",
      "/owner",
    ]);
    expect(definition).toEqual(withAction({ name: "delay", delaySeconds: 1 }) as never);
  });
});

const one = { id: 1, type: "user", name: "a" };

describe("graph", () => {
  const graph = (edges: Record<string, string[]>, rootAction: unknown = "a") => ({
    name: "graph",
    rootAction,
    actions: Object.entries(edges).map(([id, to]) => {
      return { id, type: "user", name: "work", ...(to.length > 0 && { next: { default: to } }) };
    }),
  });

  test("a cycle is refused with the ids that form it", () => {
    const found = problemsOf(graph({ a: ["b"], b: ["c"], c: ["d"], d: ["b"] }));
    expect(found).toEqual([
      '/actions/1: These actions form a cycle: "b" -> "c" -> "d" -> "b". To repeat actions, use a loop.',
    ]);
  });

  test("each of several cycles is told", () => {
    const cycles = graph({ a: ["b", "d"], b: ["c"], c: ["b"], d: ["e"], e: ["d"] });
    expect(problemsOf(cycles).filter((text) => text.includes("cycle"))).toHaveLength(2);
  });

  test("an action that leads to itself", () => {
    expectProblem(graph({ a: ["b"], b: ["b"] }), "/actions/1/next/default/0", "itself");
  });

  test("targets and roots that are not there, with the nearest that is", () => {
    expectProblem(graph({ a: ["shp", "ship"], ship: [] }), "/actions/0/next/default/0", '"ship"');
    expectProblem(graph({ a: ["ship"], ship: [] }, ["a", "shipp"]), "/rootAction/1", '"ship"');
    const onError = { ...one, onError: { TIMEOUT: 3 } };
    const definition = { name: "a", rootAction: 1, actions: [onError] };
    expectProblem(definition, "/actions/0/onError/TIMEOUT", '"3"');
  });

  test("ids that are used twice", () => {
    const definition = { name: "a", rootAction: 1, actions: [one, one] };
    expectProblem(definition, "/actions/1/id", "/actions/0");
  });

  test("actions that no way leads to", () => {
    expectProblem(graph({ a: [], lost: [] }), "/actions/1", "can never run");
  });

  test("a root that another action leads to", () => {
    expectProblem(graph({ a: ["b"], b: [] }, ["a", "b"]), "/rootAction/1", "both");
  });

  test("joins that can never be fulfilled, or join nothing", () => {
    expectProblem(withAction({ name: "transform", join: 2 }), "/actions/1/join", "only 1");
    expectProblem(withAction({ name: "transform", join: 0 }), "/actions/1/join", "from 1");
    const root = { ...one, join: "any" };
    expectProblem({ name: "a", rootAction: 1, actions: [root] }, "/actions/0/join", "root");
  });

  test("many references are checked, and too many refused, in one text or in many", () => {
    const most = limits.definitionReferencesMax;
    const withParameters = (parameters: unknown) =>
      withAction({ name: "transform", parameters: { parameters, first: "$.input" } });
    const says = `more than ${most} references`;
    expect(problemsOf(withParameters(Array(most - 1).fill("$.input.a")))).toEqual([]);
    expect(problemsOf(withParameters("{$.input.a} {$$.b}".repeat(most - 2)))).toEqual([]);
    const many = Array(most + 1).fill("$.input.a");
    expectProblem(withParameters(many), `/actions/1/parameters/parameters/${most}`, says);
    const long = "{$.input.a}".repeat(most);
    expectProblem(withParameters(long), "/actions/1/parameters/parameters", says);
  });

  // Of CPU time, which other processes do not take. Were it to grow with the square, it would be 64.
  test("the time of a check grows with the actions and their edges", () => {
    const definitionOfSize = (count: number) => {
      const actions = Array.from({ length: count }, (_, id) => {
        const targets = Array.from({ length: 20 }, (_, step) => id + 1 + step).filter(
          (to) => to < count,
        );
        const parameters = { before: `$.${Math.max(id - 1, 0)}.output` };
        return { ...one, id, parameters, next: { default: targets } };
      });
      return { name: "big", rootAction: 0, actions };
    };
    const timeOf = (definition: object) => {
      const before = process.cpuUsage();
      expect(checkDefinition(definition, strict).problems).toEqual([]);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const [small, large] = [definitionOfSize(125), definitionOfSize(1_000)];
    const times = Array.from({ length: 8 }, () => [timeOf(small), timeOf(large)] as const);
    const fastest = (at: 0 | 1) => Math.min(...times.map((pair) => pair[at]));
    expect(fastest(1) / fastest(0)).toBeLessThan(32);
  });

  test("1,000 actions in a row, and in a circle, need no stack", () => {
    const row = (last: object) =>
      Array.from({ length: 1_000 }, (_, id) => {
        return { ...one, id, ...(id < 999 ? { next: { default: id + 1 } } : last) };
      });
    expect(problemsOf({ name: "row", rootAction: 0, actions: row({}) })).toEqual([]);
    const circle = problemsOf({
      name: "row",
      rootAction: 0,
      actions: row({ next: { default: 1 } }),
    });
    expect(circle).toHaveLength(1);
    expect(circle[0]).toContain("1 -> 2 -> 3");
  });
});

describe("references", () => {
  test("to an action that is not there are refused, with the nearest", () => {
    const parameters = { text: "costs {$.frst.output.price}" };
    const definition = withAction({ name: "transform", parameters });
    expectProblem(definition, "/actions/1/parameters/text", '"first"');
    expectProblem(
      withAction({ name: "switch", expression: "$.2.output" }),
      "/actions/1/expression",
      '"2"',
    );
    expectProblem(definitionOf([], { output: "$9.output" }), "/output", '"9"');
  });

  test("in filters are checked, too", () => {
    const parameters = ["$.input.a[?@.b == $.frst.output.b]", "$.input.a[?$it.output.x]"];
    const definition = withAction({ name: "transform", parameters });
    expectProblem(
      definition,
      "/actions/1/parameters/0",
      'unknown action "frst"; the nearest is "first"',
    );
    expect(warningsOf(withAction({ name: "transform", parameters: parameters[1] }))[0]).toContain(
      '"$it.output.x" may find nothing',
    );
    const most = limits.definitionReferencesMax;
    const many = Array(most / 2 + 1).fill("$.input.a[?@.b == $.input.b]");
    const says = `more than ${most} references`;
    const last = `/actions/1/parameters/${most / 2}`;
    expectProblem(withAction({ name: "transform", parameters: many }), last, says);
  });

  test("to an action that cannot have run before are warned about", () => {
    const later = { name: "transform", parameters: "$.it.output" };
    expect(warningsOf(withAction(later))[0]).toContain("does not come before");
    const beside = {
      name: "beside",
      rootAction: [1, 2],
      actions: [one, { ...one, id: 2, parameters: { a: "$1.output" } }],
    };
    expect(warningsOf(beside)).toHaveLength(1);
    expect(warningsOf(beside)[0]).toStartWith("/actions/1/parameters/a: ");
  });

  test("to what data never has are warned about", () => {
    const parameters = ["$.first.statsu", "$.execution.sartedAt"];
    const [status, startedAt] = warningsOf(withAction({ name: "transform", parameters }));
    expect(status).toContain('the nearest is "status"');
    expect(startedAt).toContain('"startedAt"');
    expect(warningsOf(withAction({ name: "transform", parameters: "$.first.status" }))).toEqual([]);
  });

  test("to the status of what does not come before are warned about", () => {
    const first = { id: "first", type: "system", name: "transform", parameters: "$.next.status" };
    const next = { id: "next", type: "system", name: "transform" };
    const actions = [{ ...first, next: { default: "next" } }, next];
    expect(warningsOf({ name: "w", rootAction: "first", actions })).toEqual([
      '/actions/0/parameters: "$.next.status" may be read too early: action "next" does not come before this one.',
    ]);
  });

  test("that do not parse are refused at their places, all of them", () => {
    const parameters = ["$.[", { a: "{$.input.x" }, "$.input[?(@.a]", "$.input.a^", "$1.50"];
    expect(problemsOf(withAction({ name: "transform", parameters })).map(pointerIn)).toEqual([
      "/actions/1/parameters/0",
      "/actions/1/parameters/1/a",
      "/actions/1/parameters/2",
      "/actions/1/parameters/3",
    ]);
  });
});

function pointerIn(problem: string): string {
  return problem.slice(0, problem.indexOf(":"));
}

describe("warnings", () => {
  test("user actions that nobody has registered, each name once", () => {
    const action = { type: "user", name: "chrge" };
    const options = { lenient: false, knownActions: new Set(["charge", "work"]) };
    const { definition, warnings } = checkDefinition(withAction(action), options);
    expect(definition).toBeDefined();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.pointer).toBe("/actions/1/name");
    expect(warnings[0]?.message).toContain('"charge"');
  });

  test("routes that are perhaps a misspelt default", () => {
    const script = { name: "javascript", expression: "1" };
    const warned = withAction({ ...script, next: { Default: [] }, onError: { defualt: [] } });
    expect(warningsOf(warned)).toEqual([
      expect.stringMatching(/^.actions.1.onError.defualt: .*"default"/),
      expect.stringMatching(/^.actions.1.next.Default: .*"default"/),
    ]);
    const both = { fault: [], default: [] };
    expect(warningsOf(withAction({ ...script, next: both, onError: both }))).toEqual([]);
  });
});

describe("routes that are never taken", () => {
  const user = { id: "it", type: "user", name: "work" };
  const waiting = { name: "wait", event: "go", next: { timeout: [] } };
  test.each([
    ["defualt", 'only takes the route "default"', { ...user, next: { defualt: [] } }],
    ["go", 'only takes the route "default"', { name: "delay", delaySeconds: 1, next: { go: [] } }],
    ["x", 'only takes the route "default"', { name: "transform", next: { x: [], default: [] } }],
    ["timeout", 'has no "timeoutSeconds"', waiting],
  ])("%s", (route, says, action) => {
    expectProblem(withAction(action), `/actions/1/next/${route}`, says);
    // What the legacy routes took is kept, and does nothing.
    const { definition, problems, warnings } = checkDefinition(withAction(action), lenient);
    expect(problems).toEqual([]);
    expect(warnings[0]?.message).toContain(says);
    expect(definition?.actions[1]?.next).toEqual(action.next as never);
  });

  test("a timeout that is set is a route", () => {
    expect(warningsOf(withAction({ ...waiting, timeoutSeconds: 1 }))).toEqual([]);
  });
});

describe("bounds", () => {
  test("of many problems the last one says how many more there are", () => {
    const actions = Array.from({ length: 1_000 }, (_, id) => ({ ...one, id, colour: 1 }));
    const rootAction = actions.map((action) => action.id);
    const problems = problemsOf({ name: "many", rootAction, actions });
    expect(problems).toHaveLength(limits.definitionProblemsMax);
    expect(problems.at(-1)).toContain("901 more");
  });

  test("too deep, too large, too many", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = { a: deep };
    const found = problemsOf(definitionOf([], { output: deep }));
    expect(found).toHaveLength(1);
    expect(found[0]).toStartWith("/output/a/a/a");
    expect(found[0]).toContain("128 levels");
    const large = "x".repeat(limits.definitionBytesMax);
    expectProblem(definitionOf([], { output: large }), "", "at most 2097152");
    const many = Array.from({ length: 1_001 }, (_, id) => ({ ...one, id }));
    expectProblem({ name: "a", rootAction: 0, actions: many }, "/actions", "at most 1000");
  });
});

describe("any input", () => {
  test("is answered, never thrown at", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (value, isLenient) => {
        checkActionDefinition(value, { lenient: isLenient });
        const { definition, problems } = checkDefinition(value, { lenient: isLenient });
        expect(definition === undefined).toBe(problems.length > 0);
      }),
      { numRuns: 500 },
    );
  });

  test("a workflow with something replaced is refused, or can be compiled", () => {
    const oddities = fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom(
        "$.",
        "$.input",
        "$.0.output",
        "{$.a}",
        "any",
        0,
        1,
        3,
        -1,
        "step-1",
        [],
        {},
        null,
        "default",
        "delay",
        "",
      ),
    );
    let refused = 0;
    let accepted = 0;
    fc.assert(
      fc.property(
        workflowArbitrary,
        fc.nat(),
        oddities,
        fc.boolean(),
        (valid, place, odd, isLenient) => {
          const changed = replaceOne(valid, place, odd);
          const options = { lenient: isLenient };
          const { definition, problems } = checkDefinition(changed, options);
          expect(definition === undefined).toBe(problems.length > 0);
          for (const { pointer, message } of problems) {
            expect(pointer).toMatch(/^(\/.*)?$/s);
            expect(message).toEndWith(".");
          }
          if (definition === undefined) refused += 1;
          else {
            accepted += 1;
            compilePlan(definition, 1);
            expect(checkDefinition(definition, options).definition).toEqual(definition);
          }
        },
      ),
      { numRuns: 2_000 },
    );
    expect(refused).toBeGreaterThan(200);
    expect(accepted).toBeGreaterThan(200);
  });
});

/** The value with its n-th inner value replaced. */
function replaceOne(value: object, place: number, by: unknown): unknown {
  let count = 0;
  JSON.stringify(value, (_, inner) => {
    count += 1;
    return inner;
  });
  let at = -1;
  const wanted = 1 + (place % (count - 1));
  const text = JSON.stringify(value, (_, inner) => {
    at += 1;
    return at === wanted ? by : inner;
  });
  return JSON.parse(text);
}

describe("action definitions", () => {
  test("take both spellings, and keep one", () => {
    const sent = {
      name: "charge",
      retry_count: 2,
      retryAfterSeconds: 1.5,
      retry_policy: "fixed",
      timeout_seconds: 9,
      non_retryable: ["NO"],
    };
    const { definition, problems, warnings } = checkActionDefinition(sent, strict);
    expect(problems).toEqual([]);
    expect(warnings).toEqual([]);
    expect(definition).toEqual({
      name: "charge",
      retryCount: 2,
      retryAfterSeconds: 1.5,
      retryPolicy: "FIXED",
      timeoutSeconds: 9,
      nonRetryable: ["NO"],
    });
  });

  test("what old clients send for nothing is nothing", () => {
    const sent = { name: "a", retry_policy: "", timeout_seconds: 0, retry_count: null, extra: 1 };
    const { definition, problems, warnings } = checkActionDefinition(sent, lenient);
    expect(problems).toEqual([]);
    expect(definition).toEqual({ name: "a" });
    expect(warnings.map((warning) => warning.pointer)).toEqual(["/extra"]);
  });

  test("all that is wrong is told, at the place where it was sent", () => {
    const sent = {
      retry_count: -1,
      jitter: 2,
      retry_policy: "EXPONENTAL",
      nonRetryable: [1],
      concurrency: 0,
      timeoutSeconds: 0,
      timout: 3,
    };
    const { definition, problems } = checkActionDefinition(sent, strict);
    expect(definition).toBeUndefined();
    expect(problems.map((problem) => problem.pointer)).toEqual([
      "/retry_count",
      "/jitter",
      "/retry_policy",
      "/nonRetryable/0",
      "/concurrency",
      "/timeoutSeconds",
      "/timout",
      "",
    ]);
    expect(problems[2]?.message).toContain('"EXPONENTIAL"');
    expect(problems[7]?.message).toContain('"name"');
  });

  test("one rule in two spellings is refused", () => {
    const { problems } = checkActionDefinition(
      { name: "a", retryCount: 1, retry_count: 2 },
      strict,
    );
    expect(problems.map((problem) => problem.pointer)).toEqual(["/retry_count"]);
  });
});
