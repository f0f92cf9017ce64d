/** Which writes go to DynamoDB in one request. */
import { beforeEach, expect, test } from "bun:test";
import { systemClock } from "../../../src/base/clock.ts";
import { Gathered } from "../../../src/store/dynamodb/gathered.ts";

let sent: (readonly string[])[];
let fails: (all: readonly string[]) => boolean;
let gathered: Gathered<string>;

beforeEach(() => {
  [sent, fails] = [[], () => false];
  gathered = new Gathered({
    clock: systemClock,
    max: 3,
    nameOf: (one) => one.slice(0, 1),
    async write(all) {
      sent.push(all);
      if (fails(all)) throw new Error(`${all}`);
    },
  });
});

test("what comes in one turn goes together, what comes later apart", async () => {
  await Promise.all([gathered.write(["a"]), gathered.write(["b", "c"])]);
  await gathered.write(["d"]);
  await gathered.write([]);
  expect(sent).toEqual([["a", "b", "c"], ["d"]]);
});

test("a request takes so many, and none two of one name", async () => {
  await Promise.all([gathered.write(["a1", "b"]), gathered.write(["a2", "c", "d", "e"])]);
  expect(sent).toEqual([["a1", "b"], ["a2", "c", "d"], ["e"]]);
});

test("a failure is of those that went with it, and of no others", async () => {
  fails = (all) => all.includes("d");
  const writes = [["a", "b"], ["c", "d"], ["e", "f"], ["g"]].map((all) => gathered.write(all));
  const outcomes = await Promise.allSettled(writes);
  expect(sent).toEqual([["a", "b", "c"], ["d", "e", "f"], ["g"]]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
});
