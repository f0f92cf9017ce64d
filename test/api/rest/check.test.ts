/** How much of a body is looked at, whatever it holds. */
import { expect, test } from "bun:test";
import { checkJson, respelled } from "../../../src/api/rest/check.ts";
import * as requests from "../../../src/api/schemas.ts";
import { limits } from "../../../src/base/limits.ts";

/** `target`, and how often one of its members or items was read. */
function counted<Target extends object>(target: Target) {
  const reads = { count: 0 };
  const get = (inner: Target, name: string | symbol) => {
    reads.count += 1;
    return Reflect.get(inner, name);
  };
  return { value: new Proxy(target, { get }), reads };
}

const many = 10_000;
const list: unknown[] = Array(many).fill(1);
const members = Object.fromEntries(list.map((one, index) => [`n${index}`, one]));

for (const [name, schema] of [
  ["a definition", requests.definitionSchema],
  ["a start", requests.startSchema],
  ["a legacy start", requests.legacyStartSchema],
] as const) {
  test(`${name}: items and members that it does not know are not read`, () => {
    for (const target of [list, members]) {
      const { value, reads } = counted(target);
      const { value: read } = respelled(schema, value);
      checkJson(schema, read);
      expect(reads.count).toBeLessThan(100);
    }
  });
}

test("of a list that is too long, no more items are read than it takes to know", () => {
  const { value, reads } = counted(list);
  const checked = checkJson(requests.newKeySchema, { name: "k", scopes: ["run"], actions: value });
  expect(checked.ok).toBe(false);
  expect(reads.count).toBeLessThan(2 * limits.keyActionsMax);
  const long = Array(limits.keyActionsMax + 1).fill("a");
  expect(
    checkJson(requests.newKeySchema, { name: "k", scopes: ["worker"], actions: long }),
  ).toEqual({
    ok: false,
    problems: [{ pointer: "/actions", message: "At most 1000 actions can be named." }],
  });
});

test("members in another letter case are read by their name, and the last one counts", () => {
  const schema = requests.legacyStartSchema;
  const read = respelled(schema, JSON.parse('{"name":"a","NAME":"b","Input":1,"other":2}'));
  expect(read.value).toEqual({ name: "b", input: 1 });
  expect([read.spelledAs("name"), read.spelledAs("input")]).toEqual(["NAME", "Input"]);
  const definition = respelled(requests.definitionSchema, JSON.parse('{"Name":"a","other":2}'));
  expect(definition.value).toEqual({ name: "a", other: 2 });
});
