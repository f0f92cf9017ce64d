/**
 * Notes of cancelled tasks among servers: which servers get them, and what they cost without any.
 */
import { expect, test } from "bun:test";
import { systemIds } from "../../../src/base/clock.ts";
import type { Decision } from "../../../src/model/decision.ts";
import { executionKey, formatTaskId, formatToken } from "../../../src/model/ids.ts";
import {
  Cancellations,
  droppedTasksPerTurnMax,
} from "../../../src/runtime/dispatch/cancellations.ts";
import { Notes, textsPerNote } from "../../../src/runtime/peers/notes.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { LeasedTask } from "../../../src/store/store.ts";
import { HandClock } from "../../support/hand-clock.ts";

const key = executionKey("e", 4);
const taskId = (handout: number) =>
  formatTaskId({ executionId: key.id, run: 1, handout, actionKey: "a" });
const leased = (handout: number) =>
  ({ id: taskId(handout), token: formatToken("t.n", taskId(handout)) }) as LeasedTask;

function dropping(...handouts: readonly number[]): Decision {
  const effects = { dropTasks: handouts.map(taskId) };
  return { settle: [], expire: [], effects } as unknown as Decision;
}

/**
 * Servers whose notes reach all of them at once; `polls`: the workers whose polls are parked there.
 */
function newServers(...polls: readonly (readonly string[])[]) {
  const clock = new HandClock();
  const sent: string[][] = [];
  const ears: Notes[] = [];
  const store = Object.assign(new MemoryStore({ partitions: 4 }), {
    async sendNote(_partition: number, text: string) {
      sent.push(text.split("\0"));
      for (const ear of ears) ear.heard(text);
    },
  });
  const servers = polls.map((workers) => {
    const notes = new Notes({ store, ids: systemIds, hasPeers: () => polls.length > 1 });
    const hurried: string[] = [];
    const dispatcher = {
      hasPoll: (workerId: string) => workers.includes(workerId),
      hurry: (workerId: string) => void hurried.push(workerId),
    };
    ears.push(notes);
    return { cancellations: new Cancellations({ clock, dispatcher, notes }), hurried };
  });
  return { sent, servers };
}

/** What was sent has been heard, and what follows from it. */
const pause = () => new Promise((resolve) => setImmediate(resolve));

const tokens = (...handouts: readonly number[]) => handouts.map((one) => leased(one).token);

test("nothing is sent by a server alone, nor of tasks that are settled or known", async () => {
  const alone = newServers(["w"]);
  const [only] = alone.servers;
  only!.cancellations.committed(key, dropping(1, 2));
  await pause();
  expect(alone.sent).toEqual([]);

  const { sent, servers } = newServers(["w"], []);
  const [one] = servers;
  one!.cancellations.givenOut([leased(1), leased(2)], "w");
  const settled = { ...dropping(), settle: [{ taskId: taskId(2), token: "t" }] };
  one!.cancellations.committed(key, settled);
  one!.cancellations.committed(key, dropping(1));
  await pause();
  expect([sent, one!.hurried, one!.cancellations.take("w")]).toEqual([[], ["w"], tokens(1)]);
});

test("those who gave tasks out pass the news on to where the holder's poll is parked", async () => {
  const { sent, servers } = newServers([], ["near"], ["far"]);
  const [canceller, giver, third] = servers;
  giver!.cancellations.givenOut([leased(1), leased(2)], "near");
  giver!.cancellations.givenOut([leased(3)], "far");
  canceller!.cancellations.committed(key, dropping(1, 2, 4));
  canceller!.cancellations.committed(key, dropping(3));
  await pause();
  expect(sent.map(([kind, , ...texts]) => [kind, texts.length])).toEqual([
    ["dropped", 4],
    ["cancelled", 1],
  ]);
  expect(servers.map(({ hurried }) => hurried)).toEqual([[], ["near", "near", "far"], ["far"]]);
  expect(giver!.cancellations.take("near")).toEqual(tokens(1, 2));
  // Kept for its next poll there, too.
  expect([giver, third].map((one) => one!.cancellations.take("far"))).toEqual([
    tokens(3),
    tokens(3),
  ]);
});

test("what one turn tells is bounded, and goes in few notes", async () => {
  const { sent, servers } = newServers([], []);
  const [one] = servers;
  const most = droppedTasksPerTurnMax;
  for (let first = 0; first < 3 * most; first += 50) {
    const handouts = Array.from({ length: 50 }, (_, i) => first + i);
    one!.cancellations.committed(key, dropping(...handouts));
  }
  await pause();
  expect(sent.length).toBe(most / textsPerNote);
  expect(sent.every((texts) => texts.length === textsPerNote + 2)).toBe(true);
});

test("an id of a worker that looks like a note of another reaches nobody", async () => {
  const { servers } = newServers([], ["w"]);
  const [giver, other] = servers;
  giver!.cancellations.givenOut([leased(1)], "\0x\nw");
  giver!.cancellations.committed(key, dropping(1));
  await pause();
  expect(other!.cancellations.take("w")).toEqual([]);
});
