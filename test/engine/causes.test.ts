/** Signals and operations with an id: a repeat does nothing, and another use of the id is refused. */
import { describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { causeFieldCharsMax, causeFields, causeFieldsMax } from "../../src/engine/causes.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import { hasCause } from "../support/causes.ts";
import { World } from "../support/world.ts";

/** It waits for what never comes, and takes pauses meanwhile. */
const waiting = {
  name: "w",
  rootAction: "w",
  actions: [{ id: "w", type: "system", name: "wait", event: "never" }],
} satisfies WorkflowDefinition;

const pause = (id: string, hash = "h", scope = "pause") =>
  ({ type: "operation", operation: "pause", cause: { id, scope, hash } }) as const;

const causesOf = ({ execution }: World) =>
  [...execution.data].filter(([name]) => name.startsWith("causes:"));

describe("causes", () => {
  test("a repeat is a duplicate, another use of the id is none", () => {
    const world = new World(waiting);
    const answers = world.send(pause("a"), pause("a"), pause("a", "other"), pause("b"));
    const types: string[] = answers.map(({ type }) => type);
    expect(types).toEqual(["accepted", "duplicate", "reused", "accepted"]);
    expect(world.execution.state.causes).toEqual([]);
    expect(["a", "b", "c"].map((id) => hasCause(world.execution, id))).toEqual([true, true, false]);
  });

  test.each([2, 3])("an id counts within its scope (format %d)", (format) => {
    const world = new World(waiting, { format });
    const scopes = ["one", "other", "one", "other"];
    const answers = world.send(...scopes.map((scope) => pause("a", "h", scope)));
    const types: string[] = answers.map(({ type }) => type);
    expect(types).toEqual(["accepted", "accepted", "duplicate", "duplicate"]);
    expect(world.send(pause("a", "changed", "other"))[0]?.type).toBe("reused");
  });

  test("what was remembered without a scope counts in all", () => {
    const world = new World(waiting);
    world.send(pause("a"));
    const [name] = causeFields([pause("a")]);
    (world.execution.data as Map<string, string>).set(name!, `[["a","h",${world.now}]]`);
    const answers = world.send(pause("a"), pause("a", "h", "other"), pause("a", "x", "other"));
    const types: string[] = answers.map(({ type }) => type);
    expect(types).toEqual(["duplicate", "duplicate", "reused"]);
  });

  test("thousands are remembered, and forgotten after their time", () => {
    const world = new World(waiting);
    const ids = Array.from({ length: 5_000 }, (_, i) => `signal:${crypto.randomUUID()}-${i}`);
    for (const id of ids) world.send(pause(id));
    for (const id of ids) expect(world.send(pause(id))[0]?.type).toBe("duplicate");
    world.now += limits.causeSeconds * 1000 - 1;
    expect(world.send(pause(ids[0]!))[0]?.type).toBe("duplicate");
    world.now += 1;
    expect(world.send(pause(ids[0]!))[0]?.type).toBe("accepted");
    const [name] = causeFields([pause(ids[0]!)]);
    expect(JSON.parse(world.execution.data.get(name!)!)).toHaveLength(1);
  });

  test("however many there are, they take no more room than they may", () => {
    const world = new World(waiting);
    const long = "x".repeat(limits.signalIdCharsMax - 10);
    for (let i = 0; i < 8_000; i += 40) {
      world.send(...Array.from({ length: 40 }, (_, k) => pause(`${long}${i + k}`)));
    }
    const fields = causesOf(world);
    expect(fields.length).toBe(causeFieldsMax);
    for (const [, text] of fields) {
      expect(text.length).toBeLessThanOrEqual(causeFieldCharsMax);
      JSON.parse(text);
    }
    const longest = Math.max(...fields.map(([, text]) => text.length));
    expect(longest).toBeGreaterThan(causeFieldCharsMax - 2 * long.length);
    // The latest are there.
    for (let i = 7_000; i < 8_000; i++) expect(hasCause(world.execution, `${long}${i}`)).toBe(true);
  });

  test("beside servers of format 2, the state tells them the latest", () => {
    const world = new World(waiting, { format: 2 });
    for (let i = 0; i <= limits.causesInStateMax; i++) world.send(pause(`id-${i}`));
    const { causes } = world.execution.state;
    expect([causes.length, causes[0]]).toEqual([limits.causesInStateMax, "id-1"]);
    expect(world.send(pause("id-1", "other"))[0]?.type).toBe("reused");
  });

  test("what only an older server has remembered is a duplicate, whatever it asked for", () => {
    const world = new World(waiting);
    const { execution } = world;
    world.execution = { ...execution, state: { ...execution.state, causes: ["old"] } };
    expect(world.send(pause("old", "any"))[0]?.type).toBe("duplicate");
    expect(causesOf(world).map(([, text]) => text)).toEqual(["[]"]);
  });
});
