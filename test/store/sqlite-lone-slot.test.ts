/** The task in a lone slot as it is written, and as earlier versions wrote it. */
import { expect, test } from "bun:test";
import {
  type LeasedNewTask,
  readLoneTask,
  writeLoneTask,
} from "../../src/store/sqlite/lone-task.ts";

const task: LeasedNewTask = {
  id: "e1:1:3:2",
  queue: "default/charge",
  priority: -1,
  timeoutMs: 300_000,
  heartbeatMs: 30_000,
  queueTimeoutMs: 0,
  header: '{"workflow":"größe"}',
  parameters: '{"text":"[1]:\\"é😀","n":12345678901234567890}',
  lease: { token: "abc.n.e1:1:3:2", workerId: "w", leaseUntil: 1_000, deadline: 2_000 },
};

test("reads back as it was, whatever the parameters are", () => {
  for (const parameters of [task.parameters, "{}", "[]", '"7:"', ""]) {
    const written = writeLoneTask({ ...task, parameters }, 500, 7);
    const expected = { task: { ...task, parameters }, leasedAt: 500, place: 7, text: written };
    expect(readLoneTask(written)).toEqual(expected);
  }
});

test("is read as earlier versions wrote it", () => {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, header, parameters } = task;
  const { token, workerId, leaseUntil, deadline } = task.lease;
  const text = JSON.stringify([
    ...[500, 7, id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs],
    ...[token, workerId, leaseUntil, deadline, header, parameters],
  ]);
  expect(readLoneTask(text)).toEqual({ task, leasedAt: 500, place: 7, text });
});
