/** What is said about joins and error handlers when a workflow is saved. */
import { describe, expect, test } from "bun:test";
import { checkDefinition } from "../../src/language/check/check.ts";

function check(actions: readonly object[], rootAction: unknown = "a") {
  const written = actions.map((action) => ({ type: "user", name: "work", ...action }));
  const definition = { name: "test", rootAction, actions: written };
  const { problems, warnings, newThings } = checkDefinition(definition, { lenient: false });
  const lines = (found: typeof problems) =>
    found.map(({ pointer, message }) => `${pointer}: ${message}`);
  return { problems: lines(problems), warnings: lines(warnings), newThings };
}

const joining = (join: unknown) => [
  { id: "a", next: { default: "j" } },
  { id: "b", next: { default: "j" } },
  { id: "j", join },
];

describe("joins", () => {
  test.each([
    ["succeeded", 'A join "succeeded"'],
    [{ count: 2, cancelRest: true }, "A join that cancels the rest"],
    [{ count: "any", cancelRest: true }, "A join that cancels the rest"],
  ])("%j needs servers of format 4", (join, what) => {
    const { problems, newThings } = check(joining(join), ["a", "b"]);
    expect(problems).toEqual([]);
    expect(newThings).toEqual([{ pointer: "/actions/2/join", what, format: 4 }]);
  });

  test.each([
    ["suceeded", "/actions/2/join", 'the nearest is "succeeded"'],
    [0, "/actions/2/join", "a number of edges from 1"],
    [{ count: 3, cancelRest: true }, "/actions/2/join/count", "only 2 lead here"],
    [{ count: 0, cancelRest: true }, "/actions/2/join/count", '"any" or a number of edges from 1'],
    [{ count: "all", cancelRest: true }, "/actions/2/join/count", '"any" or a number'],
    [{ count: 1 }, "/actions/2/join", 'needs the field "cancelRest"'],
    [{ count: 1, cancelRest: false }, "/actions/2/join/cancelRest", "must be true"],
    [{ count: 1, cancelRest: true, rest: 1 }, "/actions/2/join/rest", "has no field"],
  ])("%j is refused", (join, pointer, says) => {
    const { problems } = check(joining(join), ["a", "b"]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(`${pointer}: `);
    expect(problems[0]).toContain(says);
  });
});

describe("handlers are warned about", () => {
  const chain = (join?: unknown) => [
    { id: "a", next: { default: "b" }, onError: { default: "h" } },
    { id: "b", next: { default: "c" }, onError: { default: "h" } },
    { id: "c" },
    { id: "h", ...(join !== undefined && { join }) },
  ];

  test("when several failures share one with any", () => {
    expect(check(chain("any")).warnings).toEqual([
      '/actions/3/join: 2 actions lead here by onError, and the join "any" starts it for the first of them only. Without a join it handles all that have failed.',
    ]);
    for (const join of [undefined, "settled", "succeeded"]) {
      expect(check(chain(join)).warnings).toEqual([]);
    }
  });

  test("when one waits for more than can be taken", () => {
    expect(check(chain(2)).warnings).toEqual([
      '/actions/3/join: This handler can never run when "a" fails: it joins an edge that is dead then. Leave the join out, or use "settled".',
    ]);
  });

  test("when one joins with succeeded what its failure kills", () => {
    const actions = (join?: string) => [
      { id: "a", next: { default: "b" }, onError: { default: "h" } },
      { id: "b", next: { default: "h" } },
      { id: "h", ...(join !== undefined && { join }) },
    ];
    expect(check(actions("succeeded")).warnings).toEqual([
      '/actions/2/join: This handler can never run when "a" fails: it joins an edge that is dead then. Leave the join out, or use "settled".',
    ]);
    for (const join of [undefined, "settled", "any"]) {
      expect(check(actions(join)).warnings).toEqual([]);
    }
  });

  test("not where another way may lead to what it joins", () => {
    const actions = [
      { id: "a", next: { default: "c" }, onError: { default: "h" } },
      { id: "b", next: { default: "c" } },
      { id: "c", join: "any", next: { default: "h" } },
      { id: "h", join: 2 },
    ];
    expect(check(actions, ["a", "b"]).warnings).toEqual([]);
  });

  test("when a code looks as if it stood for all", () => {
    const actions = [{ id: "a", onError: { "*": "h", "States.ALL": "h" } }, { id: "h" }];
    expect(check(actions).warnings).toEqual([
      '/actions/0/onError/*: "*" is a code like any other; for all errors write "default".',
      '/actions/0/onError/States.ALL: "States.ALL" is a code like any other; for all errors write "default".',
    ]);
  });
});
