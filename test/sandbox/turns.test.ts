/** The fair queue under the sandbox, and what the sandbox makes of it. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { createSandbox } from "../../src/sandbox/pool.ts";
import { type Job, JobQueue } from "../../src/sandbox/queue.ts";
import { type Sandbox, SandboxUnavailable } from "../../src/sandbox/sandbox.ts";
import { Turns } from "../../src/sandbox/turns.ts";

setDefaultTimeout(120_000);

const opened: Sandbox[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((sandbox) => sandbox.stop()));
});

function taken(turns: Turns<string, string>): string[] {
  const items: string[] = [];
  for (let item = turns.take(); item !== undefined; item = turns.take()) items.push(item);
  return items;
}

test("groups take turns, and each is first in, first out", () => {
  const turns = new Turns<string, string>();
  for (const item of ["a1", "a2", "a3", "a4"]) turns.put("a", item, item);
  for (const item of ["b1", "b2"]) turns.put("b", item, item);
  turns.put("c", "c1", "c1");
  expect(turns.size).toBe(7);
  expect(turns.take()).toBe("a1");
  expect(turns.delete("a", "a3")).toBeTrue();
  expect(turns.delete("a", "a1")).toBeFalse();
  // Replaced, it keeps its place.
  turns.put("a", "a2", "a2 again");
  expect(turns.size).toBe(5);
  expect(turns.take((group) => group === "c")).toBe("c1");
  expect(turns.take((group) => group === "c")).toBeUndefined();
  turns.put("c", "c1", "c1");
  expect(taken(turns)).toEqual(["b1", "a2 again", "c1", "b2", "a4"]);
  expect([turns.size, turns.has("a")]).toEqual([0, false]);
});

function job(group: string, chars: number, answers: unknown[] = []): Job {
  return { group, request: [], chars, losses: 0, settle: (answer) => answers.push(answer) };
}

test("the queue has room for some scripts, for many quick ones, and for so many bytes", () => {
  const queue = new JobQueue();
  expect(queue.room("a", 2)).toBe(2 * limits.scriptsQueuedMin);
  for (let i = 0; i < 200; i++) queue.ran(1);
  expect(queue.room("a", 2)).toBeWithin(300, 401);
  for (let i = 0; i < 200; i++) queue.ran(1_000);
  expect(queue.room("a", 2)).toBe(2 * limits.scriptsQueuedMin);
  const answers: unknown[] = [];
  const large = job("a", limits.scriptQueueBytesMax, answers);
  queue.add(large);
  expect([queue.room("a", 2), queue.room("b", 2)]).toEqual([0, 1]);
  queue.remove(large);
  for (let i = 0; i < 40; i++) queue.add(job("a", 1, answers));
  expect([queue.room("a", 2), queue.room("b", 2)]).toEqual([0, 1]);
  queue.refuse(new SandboxUnavailable("no"));
  expect(answers).toHaveLength(40);
  expect(queue.room("a", 2)).toBe(2 * limits.scriptsQueuedMin);
});

test("one script of a second group waits for one of the first, not for all of them", async () => {
  const sandbox = createSandbox({ clock: systemClock, processes: 1 });
  opened.push(sandbox);
  const data = { input: "{}", execution: "{}", actions: {} };
  const evaluate = (group: string) => sandbox.evaluate({ ...data, group, expression: "1" });
  await evaluate("first");
  let before = 0;
  const many = Array.from({ length: 50 }, async () => {
    await evaluate("first");
    before += 1;
  });
  expect(sandbox.queued).toBe(49);
  await evaluate("second");
  expect(before).toBeLessThan(5);
  await Promise.all(many);
  expect(sandbox.queued).toBe(0);
});
