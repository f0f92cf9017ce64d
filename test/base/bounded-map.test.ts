/** A map that forgets what was set longest ago. */
import { expect, test } from "bun:test";
import { BoundedMap } from "../../src/base/bounded-map.ts";

test("the entry that was set longest ago goes first, and setting one again keeps it", () => {
  const map = new BoundedMap<string, number>(3);
  map.set("a", 1).set("b", 2).set("c", 3).set("a", 4).set("d", 5);
  expect([...map]).toEqual([
    ["c", 3],
    ["a", 4],
    ["d", 5],
  ]);
  map.delete("a");
  map.set("e", 6);
  expect([...map.keys()]).toEqual(["c", "d", "e"]);
});
