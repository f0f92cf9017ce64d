/** What is let go, and when: the oldest first, for want of room or of time. */
import { expect, test } from "bun:test";
import { Backlog } from "../../src/api/backlog.ts";

/** A clock that the test moves. */
function fakeTime() {
  let now = 0;
  const due = new Map<() => void, number>();
  const clock = {
    now: () => now,
    after(ms: number, callback: () => void) {
      due.set(callback, now + ms);
      return () => void due.delete(callback);
    },
    soon: (callback: () => void) => callback(),
  };
  return {
    clock,
    pass(ms: number) {
      now += ms;
      for (const [callback, at] of [...due]) {
        if (at > now) continue;
        due.delete(callback);
        callback();
      }
    },
    get waiting() {
      return due.size;
    },
  };
}

function open() {
  const time = fakeTime();
  const backlog = new Backlog({ bytesMax: 100, ageMs: 1_000 }, time.clock);
  const dropped: string[] = [];
  const hold = (name: string, bytes: number) => {
    const holding = backlog.open(() => dropped.push(name));
    holding.set(bytes);
    return holding;
  };
  return { time, backlog, dropped, hold };
}

test("beyond the room, those that hold something for the longest are let go", () => {
  const { backlog, dropped, hold } = open();
  const first = hold("first", 40);
  const second = hold("second", 40);
  // Growing does not make it younger.
  first.set(50);
  hold("third", 30);
  expect([dropped, backlog.bytes]).toEqual([["first"], 70]);
  second.close();
  hold("alone", 101);
  expect([dropped, backlog.bytes]).toEqual([["first", "third", "alone"], 0]);
  first.set(10);
  expect(backlog.bytes).toBe(0);
});

test("beyond the time, too; who holds nothing for a moment begins anew", () => {
  const { time, backlog, dropped, hold } = open();
  hold("still", 1);
  const reading = hold("reading", 1);
  time.pass(600);
  reading.set(0);
  reading.set(2);
  time.pass(400);
  expect([dropped, backlog.bytes]).toEqual([["still"], 2]);
  time.pass(600);
  expect([dropped, backlog.bytes]).toEqual([["still", "reading"], 0]);
  expect(time.waiting).toBe(0);
});

test("work that is held for answers as it would, or is refused when it is let go", async () => {
  const { backlog, hold } = open();
  const refusal = () => new Error("no room");
  expect(await backlog.keepDuring(50, Promise.resolve("done"), refusal)).toBe("done");
  expect(backlog.bytes).toBe(0);
  const late = Promise.withResolvers<string>();
  const held = backlog.keepDuring(50, late.promise, refusal);
  hold("more", 60);
  await expect(held).rejects.toThrow("no room");
  expect(backlog.bytes).toBe(60);
});
