/** The JSON Schemas of the language take what the checks take, and refuse what is plainly wrong. */
import { describe, expect, test } from "bun:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import fc from "fast-check";
import { checkActionDefinition, checkDefinition } from "../../src/language/check/check.ts";
import { schemaDocument } from "../../src/language/check/schema.ts";
import { type Kind, kindList, kinds } from "../../src/language/kinds/table.ts";
import { documents } from "../documents/fences.ts";
import order from "../support/examples/order.json";
import seed from "../support/examples/seed.json";
import { workflowArbitrary } from "../support/random-workflow.ts";

// A condition names the field that it is about, which stands in the schema around it.
const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
const workflow = ajv.compile(schemaDocument("workflow"));
const action = ajv.compile(schemaDocument("action"));

type Members = Readonly<Record<string, unknown>>;

/** Where and why it is refused; empty: it is not. */
function refusals(validate: ValidateFunction, value: unknown): string[] {
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message}`);
}

function isSaved(definition: unknown): boolean {
  return checkDefinition(definition, { lenient: false }).problems.length === 0;
}

const userAction = { id: 1, type: "user", name: "work" };
const withAction = (more: object) => ({
  name: "w",
  rootAction: 1,
  actions: [{ ...userAction, ...more }],
});

describe("takes", () => {
  test("every random workflow", () => {
    fc.assert(
      fc.property(workflowArbitrary, (definition) => {
        expect(refusals(workflow, definition)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test("the examples, and every definition of the documents that is saved", () => {
    const ofDocuments = documents.flatMap(({ fences }) =>
      fences.filter(({ language }) => language === "json").flatMap(({ text }) => parsed(text)),
    );
    const definitions = ofDocuments.filter((one) => "rootAction" in one && isSaved(one));
    expect(definitions.length).toBeGreaterThan(10);
    for (const definition of [seed, order, ...definitions]) {
      expect(refusals(workflow, definition)).toEqual([]);
    }
  });

  test("what the checks take, when a random place of a workflow is changed", () => {
    let [saved, refused] = [0, 0];
    const change = fc.record({
      definition: workflowArbitrary,
      place: fc.nat(),
      to: fc.constantFrom<unknown>(...odd),
    });
    fc.assert(
      fc.property(change, ({ definition, place, to }) => {
        const changed = changedAt(definition, place, to);
        if (isSaved(changed)) {
          saved += 1;
          expect(refusals(workflow, changed)).toEqual([]);
        } else if (!workflow(changed)) refused += 1;
      }),
      { numRuns: 300, seed: 7 },
    );
    expect(saved).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(80);
  });

  test("other letter cases, an alias, and retries in snake case", () => {
    for (const more of [
      { type: "USER", retry: { retry_count: 2, retryPolicy: "fixed" } },
      { type: "System", name: "JsonMapper", parameters: "$.input" },
      { type: "system", name: "HTTP", method: "post", url: "https://example.com/{$.input.id}" },
    ]) {
      expect(isSaved(withAction(more))).toBe(true);
      expect(refusals(workflow, withAction(more))).toEqual([]);
    }
  });
});

const odd = [
  null,
  "",
  0,
  1,
  -1,
  2.5,
  "1",
  1e12,
  true,
  [],
  [1],
  {},
  { a: 1 },
  "$.input.x",
  "{$.input.x}",
  "$$",
  "DELETE",
  "noop",
  "settled",
  "SYSTEM",
  "user",
  "delay",
  "wait",
  "default",
  "timeout",
] as const;

/** Parts of documents are no JSON. */
function parsed(text: string): object[] {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? [value] : [];
  } catch {
    return [];
  }
}

/** A copy in which one member, at any depth, has another value. */
function changedAt(definition: object, place: number, to: unknown): unknown {
  const copy = structuredClone(definition);
  const members: { holder: Record<string, unknown>; name: string }[] = [];
  const gather = (holder: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(holder)) {
      members.push({ holder, name });
      if (typeof value === "object" && value !== null) gather(value as Record<string, unknown>);
    }
  };
  gather(copy as Record<string, unknown>);
  const { holder, name } = members[place % members.length]!;
  holder[name] = to;
  return copy;
}

describe("refuses", () => {
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["an unknown field", withAction({ nxt: {} }), "/actions/0: must NOT have additional"],
    ["a wrong type", withAction({ optional: "yes" }), "/actions/0/optional: must be boolean"],
    ["a field of another kind", withAction({ until: "x" }), "/actions/0: must NOT have additional"],
    ["an unknown kind", withAction({ type: "system", name: "dealy" }), "/actions/0/name: "],
    ["an unknown type", withAction({ type: "worker" }), "/actions/0/type: "],
    ["a missing id", { ...withAction({}), actions: [{ type: "user", name: "a" }] }, "'id'"],
    ["a missing root", { name: "w", actions: [userAction] }, "'rootAction'"],
    ["no actions", { name: "w", rootAction: 1, actions: [] }, "/actions: must NOT have fewer"],
    ["an unknown field of retry", withAction({ retry: { count: 1 } }), "/actions/0/retry: "],
    [
      "a route that is never taken",
      withAction({ type: "system", name: "delay", delaySeconds: 1, next: { other: 2 } }),
      "/actions/0/next: must NOT have additional",
    ],
    [
      "neither of two fields",
      withAction({ type: "system", name: "delay" }),
      "/actions/0: must match exactly one",
    ],
  ];
  for (const [what, definition, says] of cases) {
    test(what, () => {
      expect(isSaved(definition)).toBe(false);
      expect(refusals(workflow, definition).join("\n")).toContain(says);
    });
  }

  test("an action without a field that its kind requires", () => {
    let required = 0;
    for (const kind of kindList) {
      for (const field of requiredOf(kind)) {
        const found = refusals(workflow, withAction({ type: "system", name: kind }));
        expect(found).toContain(`/actions/0: must have required property '${field}'`);
        required += 1;
      }
    }
    expect(required).toBeGreaterThan(5);
  });
});

function requiredOf(kind: Kind): readonly string[] {
  return kinds[kind].required ?? [];
}

test("of an action definition: both cases, and the same refusals", () => {
  const isTaken = (definition: Members) =>
    checkActionDefinition(definition, { lenient: false }).problems.length === 0;
  for (const rules of [
    { retryCount: 2, jitter: 0.5 },
    { retry_count: 2, retryPolicy: "Backoff" },
  ]) {
    expect(isTaken({ name: "a", ...rules })).toBe(true);
    expect(refusals(action, { name: "a", ...rules })).toEqual([]);
  }
  for (const wrong of [{}, { name: "a", retries: 1 }, { name: "a", jitter: 2 }, { name: ".." }]) {
    expect(isTaken(wrong as Members)).toBe(false);
    expect(refusals(action, wrong)).toHaveLength(1);
  }
});

test("$schema is allowed in both, and is no part of the definition", () => {
  const $schema = "./workflow.schema.json";
  const given = { $schema, ...withAction({}) };
  expect(refusals(workflow, given)).toEqual([]);
  expect(refusals(action, { $schema, name: "a" })).toEqual([]);
  const lenient = false;
  const { definition } = checkDefinition(given, { lenient });
  expect(definition).toEqual(checkDefinition(withAction({}), { lenient }).definition!);
  expect(checkActionDefinition({ $schema, name: "a" }, { lenient }).definition).toEqual({
    name: "a",
  });
  const { problems } = checkDefinition({ ...given, $schema: 1 }, { lenient });
  expect(problems).toEqual([
    { pointer: "/$schema", message: "It must be the address of a JSON Schema, not 1." },
  ]);
});

test("every field has a description", () => {
  for (const document of [schemaDocument("workflow"), schemaDocument("action")]) {
    for (const schema of [document, ...Object.values((document.$defs ?? {}) as Members)]) {
      for (const [name, field] of Object.entries((schema as Members).properties as Members)) {
        if (Object.keys(field as object).length === 0 || name === "next") continue;
        expect([name, (field as Members).description]).toEqual([
          name,
          expect.stringMatching(/\.$/),
        ]);
      }
    }
  }
});
