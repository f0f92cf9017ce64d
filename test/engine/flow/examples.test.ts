/** The rules of flow by hand, in the engine and in the naive rules: what each example of the language says. */
import { describe, expect, test } from "bun:test";
import type { ActionId, ActionSpec, JoinRule, Routes } from "../../../src/model/definition.ts";
import { runEngine, runNaive } from "./compare.ts";
import type { Outcome } from "./naive.ts";

interface Parts {
  readonly next?: Routes;
  readonly onError?: Routes;
  readonly join?: JoinRule;
  readonly optional?: boolean;
}

/** Tasks by id, in the order of the plan; a name that begins with `switch` is one. */
function flowOf(parts: Readonly<Record<string, Parts>>): readonly ActionSpec[] {
  return Object.entries(parts).map(
    ([id, part]): ActionSpec =>
      id.startsWith("switch")
        ? { id, type: "system", name: "switch", expression: `$.input.${id}`, ...part }
        : { id, type: "user", name: "work", retry: { retryCount: 0 }, ...part },
  );
}

/**
 * Ends what is open in this order, an array in one decision, then what comes. The same from both, as a
 * line for each action.
 */
function run(
  parts: Readonly<Record<string, Parts>>,
  outcomes: Readonly<Record<string, Outcome | "fails">>,
  order: readonly (ActionId | readonly ActionId[])[] = [],
): Record<string, string> {
  const actions = flowOf(parts);
  const targets = new Set(
    actions.flatMap(({ next, onError }) =>
      [next, onError].flatMap((routes) => Object.values(routes ?? {}).flat()),
    ),
  );
  const rootAction = actions.map(({ id }) => id).filter((id) => !targets.has(id));
  const flow = {
    definition: { name: "flow", rootAction, actions },
    outcomes: new Map(
      Object.entries(outcomes).map(([id, outcome]): [ActionId, Outcome] => [
        id,
        outcome === "fails" ? { code: "BROKEN" } : outcome,
      ]),
    ),
  };
  const pick = (open: readonly ActionId[]) => {
    const next = order.map((ids) => [ids].flat()).find((ids) => open.includes(ids[0]!));
    return next ?? [open[0]!];
  };
  const { errors, ...engine } = runEngine(flow, pick);
  const { errors: wanted, ...naive } = runNaive(flow, pick);
  expect(engine).toEqual(naive);
  expect(wanted).toMatchObject(errors);
  const lines = Object.entries(engine.statuses).map(([id, status]): [string, string] => {
    const reason = engine.skipped[id];
    if (reason === undefined) return [id, status];
    const why = typeof reason === "string" ? reason : reason.join(" ");
    return [id, why === "" ? status : `${status}: ${why}`];
  });
  const { failed } = engine;
  return {
    execution: failed === undefined ? engine.status : `${failed.action} ${failed.code}`,
    ...Object.fromEntries(lines),
  };
}

describe("failures travel until they are recovered", () => {
  const chain = {
    a: { next: { default: "b" }, onError: { default: "undo" } },
    b: { next: { default: "c" }, onError: { default: "undo" } },
    c: { next: { default: "done" }, onError: { default: "undo" } },
    undo: {},
    done: {},
  };

  test.each([
    ["a", { a: "FAILED", b: "SKIPPED: a", c: "SKIPPED: a", undo: "COMPLETED", done: "SKIPPED: a" }],
    ["b", { a: "COMPLETED", b: "FAILED", c: "SKIPPED: b", undo: "COMPLETED", done: "SKIPPED: b" }],
    ["c", { a: "COMPLETED", b: "COMPLETED", c: "FAILED", undo: "COMPLETED", done: "SKIPPED: c" }],
  ])("one handler is shared by every step of a chain (%s fails)", (failing, statuses) => {
    expect(run(chain, { [failing]: "fails" })).toEqual({ execution: "COMPLETED", ...statuses });
  });

  test("a failed payment never ships", () => {
    const parts = {
      charge: { next: { default: "ship" }, onError: { default: "tell" } },
      pack: { next: { default: "ship" } },
      ship: {},
      tell: {},
    };
    const end = { execution: "COMPLETED", charge: "FAILED", pack: "COMPLETED" };
    for (const order of [["charge"], ["pack"]]) {
      expect(run(parts, { charge: "fails" }, order)).toEqual({
        ...end,
        ship: "SKIPPED: charge",
        tell: "COMPLETED",
      });
    }
  });

  const fallback = {
    card: { next: { default: "ship" }, onError: { default: "paypal" } },
    paypal: { next: { default: "ship" }, onError: { default: "tell" } },
    ship: {},
    tell: {},
  };

  test("a fallback ships", () => {
    expect(run(fallback, { card: "fails" })).toEqual({
      execution: "COMPLETED",
      card: "FAILED",
      paypal: "COMPLETED",
      ship: "COMPLETED",
      tell: "SKIPPED",
    });
    expect(run(fallback, {})).toEqual({
      execution: "COMPLETED",
      card: "COMPLETED",
      paypal: "SKIPPED",
      ship: "COMPLETED",
      tell: "SKIPPED",
    });
  });

  test("a fallback that fails as well does not", () => {
    expect(run(fallback, { card: "fails", paypal: "fails" })).toMatchObject({
      paypal: "FAILED",
      ship: "SKIPPED: card paypal",
      tell: "COMPLETED",
    });
  });

  test("with succeeded, it runs only if nothing before it failed", () => {
    const strict = {
      ...fallback,
      ship: { join: "succeeded", next: { default: "thank" } },
    } as const;
    const parts = { ...strict, thank: {} };
    expect(run(parts, { card: "fails" })).toMatchObject({
      paypal: "COMPLETED",
      ship: "SKIPPED: card",
      thank: "SKIPPED: card",
    });
    expect(run(parts, {})).toMatchObject({ ship: "COMPLETED", thank: "COMPLETED" });
  });

  test("finally: once after a chain and its handlers, in every case", () => {
    const parts = {
      a: { next: { default: "b" }, onError: { default: "undoA" } },
      b: { next: { default: "finally" }, onError: { default: "undoB" } },
      undoA: { next: { default: "finally" } },
      undoB: { next: { default: "finally" } },
      finally: {},
    };
    for (const failing of [{}, { a: "fails" }, { b: "fails" }] as const) {
      expect(run(parts, failing)).toMatchObject({
        execution: "COMPLETED",
        finally: "COMPLETED",
      });
    }
  });

  test("finally after parallel branches is settled", () => {
    const parts = (join: JoinRule) => ({
      a: { next: { default: "finally" }, onError: { default: "undo" } },
      b: { next: { default: "finally" } },
      undo: {},
      finally: { join, next: { default: "after" } },
      other: { next: { default: "after" } },
      after: {},
    });
    expect(run(parts("all"), { a: "fails" })).toMatchObject({
      finally: "SKIPPED: a",
      after: "SKIPPED: a",
    });
    // It recovers them: what comes after runs.
    expect(run(parts("settled"), { a: "fails" })).toMatchObject({
      finally: "COMPLETED",
      after: "COMPLETED",
    });
  });

  test("settled alone behind a failure starts all the same", () => {
    const parts = {
      a: { next: { default: "b" }, onError: { default: [] } },
      b: { next: { default: "cleanup" } },
      cleanup: { join: "settled", next: { default: "end" } },
      end: {},
    } as const;
    expect(run(parts, { a: "fails" })).toMatchObject({
      b: "SKIPPED: a",
      cleanup: "COMPLETED",
      end: "COMPLETED",
    });
  });

  test("a saga's compensations run in a row from the step that failed", () => {
    const saga = {
      flight: { next: { default: "hotel" }, onError: { default: [] } },
      hotel: { next: { default: "car" }, onError: { default: "undoFlight" } },
      car: { next: { default: "done" }, onError: { default: "undoHotel" } },
      undoHotel: { next: { default: "undoFlight" } },
      undoFlight: {},
      done: {},
    };
    const from = (failing: string) => run(saga, { [failing]: "fails" });
    expect(from("car")).toMatchObject({
      undoHotel: "COMPLETED",
      undoFlight: "COMPLETED",
      done: "SKIPPED: car",
    });
    expect(from("hotel")).toMatchObject({ undoHotel: "SKIPPED", undoFlight: "COMPLETED" });
    expect(from("flight")).toMatchObject({ undoHotel: "SKIPPED", undoFlight: "SKIPPED" });
  });

  test("handlers that fail have handlers of their own", () => {
    const parts = {
      a: { next: { default: "end" }, onError: { default: "h1" } },
      h1: { next: { default: "end" }, onError: { default: "h2" } },
      h2: { next: { default: "end" } },
      end: {},
    };
    expect(run(parts, { a: "fails" })).toMatchObject({ h2: "SKIPPED", end: "COMPLETED" });
    expect(run(parts, { a: "fails", h1: "fails" })).toMatchObject({
      h2: "COMPLETED",
      end: "COMPLETED",
    });
  });

  test("only what was not recovered goes on", () => {
    const parts = {
      a: { next: { default: "end" }, onError: { default: "h" } },
      b: { next: { default: "end" }, onError: { default: "tell" } },
      h: { next: { default: "end" } },
      tell: {},
      end: { next: { default: "after" } },
      after: {},
    };
    expect(run(parts, { a: "fails", b: "fails" })).toMatchObject({
      end: "SKIPPED: b",
      after: "SKIPPED: b",
    });
  });

  test("an edge that belongs only to onError of a skipped action carries no cause", () => {
    const parts = {
      a: { next: { default: "b" }, onError: { default: "h" } },
      b: { onError: { default: "h" } },
      h: {},
    };
    expect(run(parts, { a: "fails" })).toMatchObject({ b: "SKIPPED: a", h: "COMPLETED" });
  });
});

describe("joins of some", () => {
  const three = (join: JoinRule, rest: Parts = {}) => ({
    a: { next: { default: "j" }, onError: { default: [] } },
    b: { next: { default: "j" }, onError: { default: [] } },
    c: { next: { default: "j" }, onError: { default: [] } },
    j: { join, next: { default: "after" }, ...rest },
    after: {},
    tell: {},
  });

  test("any starts at the first, whatever fails before and after", () => {
    expect(run(three("any"), { a: "fails", c: "fails" })).toMatchObject({ j: "COMPLETED" });
    expect(run(three("any"), { a: "fails", b: "fails", c: "fails" })).toMatchObject({
      j: "SKIPPED: a b c",
      after: "SKIPPED: a b c",
    });
  });

  test("n that cannot be reached fails as soon as one edge is taken", () => {
    expect(run(three(2), { a: "fails", b: "fails" })).toMatchObject({
      execution: "j JOIN_NOT_MET",
      j: "FAILED",
    });
    expect(run(three(3), { b: "fails" }, ["a", "b"])).toMatchObject({
      execution: "j JOIN_NOT_MET",
      c: "CANCELLED",
    });
    expect(run(three(2), { a: "fails", b: "fails", c: "fails" })).toMatchObject({
      execution: "COMPLETED",
      j: "SKIPPED: a b c",
    });
  });

  test("its onError recovers it, and what it stood for", () => {
    const direct = {
      ...three(2),
      a: { next: { default: ["j", "end"] }, onError: { default: [] } },
      j: { join: 2, next: { default: "end" }, onError: { JOIN_NOT_MET: "end" } },
      end: {},
    } as const;
    expect(run(direct, { a: "fails", b: "fails" })).toMatchObject({
      j: "FAILED",
      end: "COMPLETED",
    });
    const apart = { ...direct, j: { join: 2, onError: { JOIN_NOT_MET: "tell" } } } as const;
    expect(run(apart, { a: "fails", b: "fails" })).toMatchObject({
      j: "FAILED",
      tell: "COMPLETED",
      end: "SKIPPED: a",
    });
  });

  test("optional counts as completed and recovers the same", () => {
    const parts = {
      ...three(2, { optional: true }),
      a: { next: { default: ["j", "after"] }, onError: { default: [] } },
    };
    expect(run(parts, { a: "fails", b: "fails" })).toMatchObject({
      execution: "COMPLETED",
      j: "COMPLETED",
      after: "COMPLETED",
    });
  });

  test("what came too late to start it recovers all the same", () => {
    const parts = {
      x: { next: { default: "end" }, onError: { default: "h" } },
      y: { next: { default: "j" } },
      h: { next: { default: "j" } },
      j: { join: "any", next: { default: "k" } },
      k: { next: { default: "end" } },
      end: {},
    } as const;
    expect(run(parts, { x: "fails" }, ["y", "x", "h", "j", "k"])).toMatchObject({
      end: "COMPLETED",
    });
    // Where it comes later still, the decision has been made.
    expect(run(parts, { x: "fails" }, ["y", "x", "j", "k", "h"])).toMatchObject({
      end: "SKIPPED: x",
    });
  });
});

describe("in one decision", () => {
  test("what is recovered late counts from then on", () => {
    const parts = {
      x: { next: { default: ["e1", "e2"] }, onError: { default: "h" } },
      y: { next: { default: "j" } },
      h: { next: { default: "j" } },
      j: { join: "any", next: { default: "k" } },
      k: { next: { default: ["e1", "e2"] } },
      p1: { next: { default: "e1" } },
      p2: { next: { default: "e2" } },
      e1: {},
      e2: {},
    } as const;
    expect(run(parts, { x: "fails" }, ["y", "x", "j", "k", ["p1", "h", "p2"]])).toMatchObject({
      e1: "SKIPPED: x",
      e2: "COMPLETED",
    });
  });
});

describe("cancelRest", () => {
  const race = {
    fast: { next: { default: "j" } },
    slow: { next: { default: "slower" } },
    slower: { next: { default: "j" } },
    aside: { next: { default: ["j", "log"] } },
    j: { join: { count: "any", cancelRest: true }, next: { default: "end" } },
    log: {},
    end: {},
  } as const;

  test("losers end: open ones are cancelled, others skipped; what leads elsewhere goes on", () => {
    expect(run(race, {}, ["fast"])).toEqual({
      execution: "COMPLETED",
      fast: "COMPLETED",
      slow: "CANCELLED: lost race",
      slower: "SKIPPED: lost race",
      aside: "COMPLETED",
      j: "COMPLETED",
      log: "COMPLETED",
      end: "COMPLETED",
    });
  });

  test("so they do when it fails", () => {
    const parts = {
      ...race,
      fast: { next: { default: "j" }, onError: { default: [] } },
      aside: { next: { default: "j" } },
      j: { join: { count: 3, cancelRest: true }, onError: { default: "end" } },
    } as const;
    expect(run(parts, { fast: "fails" }, ["fast", "aside"])).toMatchObject({
      execution: "COMPLETED",
      slow: "CANCELLED: lost race",
      slower: "SKIPPED: lost race",
      j: "FAILED",
      end: "COMPLETED",
    });
  });

  test("all edges of a loser are dead without a cause", () => {
    const parts = {
      ...race,
      slow: { next: { default: "j" }, onError: { default: "h" } },
      slower: { next: { default: "h" } },
      h: {},
    };
    expect(run(parts, {}, ["fast"])).toMatchObject({
      slow: "CANCELLED: lost race",
      h: "COMPLETED",
    });
    expect(run({ ...parts, slower: {} }, {}, ["fast"])).toMatchObject({ h: "SKIPPED" });
  });
});
