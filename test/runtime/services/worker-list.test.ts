import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { WorkerList } from "../../../src/runtime/services/worker-list.ts";

const queues = ["default"];
const namesOf = (worker: number, count: number) =>
  Array.from({ length: count }, (_, i) => `${worker}-${"x".repeat(100)}-${i}`);

test("workers that poll for the same keep one copy of the names", () => {
  const list = new WorkerList();
  for (let i = 0; i < 2_000; i++)
    list.seen(`worker-${i}`, { actions: namesOf(0, 1_000), queues }, i);
  expect(list.bytes).toBeLessThan(1_000_000);
  const { workers } = list.list(2_000);
  expect(workers[0]).toMatchObject({ id: "worker-1999", lastSeenAt: 1_999 });
  expect(workers[1]!.actions).toBe(workers[0]!.actions);
});

test("whatever workers call themselves and poll for, the memory is bounded", () => {
  const list = new WorkerList();
  for (let i = 0; i < 1_000; i++) {
    list.seen(`worker-${i}`, { actions: namesOf(i, 1_000), queues }, i);
    expect(list.bytes).toBeLessThanOrEqual(limits.workersBytesMax);
  }
  const { workers, leftOut } = list.list(1_000);
  expect(workers.map(({ id }) => id).slice(0, 2)).toEqual(["worker-999", "worker-998"]);
  expect(JSON.stringify(workers).length).toBeLessThan(limits.workersListedBytesMax);
  expect(leftOut).toBeGreaterThan(0);
  // One worker that polls for other things each time.
  for (let i = 0; i < 1_000; i++) list.seen("one", { actions: namesOf(i, 100), queues }, 2_000);
  expect(list.bytes).toBeLessThanOrEqual(limits.workersBytesMax);
  list.seen("one", { actions: ["a"], queues }, 3_000);
  const later = 2_001 + limits.workerSeenMs;
  expect(list.list(later).workers).toEqual([
    { id: "one", actions: ["a"], queues, lastSeenAt: 3_000 },
  ]);
  expect(list.bytes).toBeLessThan(1_000);
});

test("a worker is forgotten after five minutes without a poll", () => {
  const list = new WorkerList();
  list.seen("early", { actions: ["a"], queues }, 0);
  list.seen("late", { actions: ["a"], queues }, 1);
  expect(list.list(limits.workerSeenMs).workers).toHaveLength(2);
  expect(list.list(limits.workerSeenMs + 1).workers.map(({ id }) => id)).toEqual(["late"]);
  list.seen("next", { actions: ["b"], queues }, 10 * limits.workerSeenMs);
  expect(list.list(10 * limits.workerSeenMs).workers.map(({ id }) => id)).toEqual(["next"]);
});

test("a worker that polls for each action by itself is one line, with those of the last minutes", () => {
  const list = new WorkerList();
  list.seen("one", { actions: ["a"], queues }, 0);
  list.seen("one", { actions: ["c"], queues: ["other"] }, 2);
  list.seen("one", { actions: ["b"], queues }, 1);
  list.seen("one", { actions: ["b"], queues }, 5);
  const all = { id: "one", actions: ["a", "b", "c"], queues: ["default", "other"], lastSeenAt: 5 };
  expect(list.list(limits.workerSeenMs).workers).toEqual([all]);
  const left = { ...all, actions: ["b", "c"] };
  expect(list.list(limits.workerSeenMs + 1).workers).toEqual([left]);
  for (let i = 0; i < 2 * limits.workerPollsMax; i++) {
    list.seen("one", { actions: [`${i}`], queues }, 6);
  }
  expect(list.list(6).workers[0]!.actions).toHaveLength(limits.workerPollsMax);
});
