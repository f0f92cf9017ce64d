/** A store whose plain reads may miss a write whose outcome is unknown: the server asks surely. */
import { afterEach, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { type LoadAnswer, StoreFault } from "../../src/store/store.ts";
import {
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, pollOne, single } from "./calls.ts";
import { hooked } from "./unsure-store.ts";

const servers: TestServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.remove();
});

test("after a commit of unknown outcome that was applied, nothing is done twice", async () => {
  const inner = new MemoryStore({ partitions: 2 });
  const reads: boolean[] = [];
  let missed: LoadAnswer | undefined;
  const store = hooked(inner, {
    commit: async (commit, count, request) => {
      if (count > 1) return commit(request);
      missed = await inner.load({ key: request.key });
      await commit(request);
      throw new StoreFault("unknown", "the answer was lost");
    },
    load: async (load, _count, request) => {
      if (missed === undefined) return load(request);
      reads.push(request.sure === true);
      if (!request.sure) return missed;
      missed = undefined;
      return load(request);
    },
  });
  const server = await startTestServer({ store: "memory:", parts: { store } });
  servers.push(server);
  await saveWorkflow(server, single("once"));
  const id = await startExecution(server, "once");
  const task = await pollOne(server, "once");
  expect(await complete(server, done(task))).toEqual(["ACCEPTED"]);
  const { status, actions } = await untilEnded(server, id);
  expect([status, actions[0].attempts.length]).toEqual(["COMPLETED", 1]);
  expect(reads).toEqual([true]);
});
