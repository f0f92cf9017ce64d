/** The list of actions: registered or not, with their tasks and who polls for them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { pollOne, single } from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  for (const name of ["b", "d", "g"]) await call(server, "PUT", `/v1/actions/${name}`, {});
  for (const name of ["a", "c", "d", "e", "f"]) {
    await saveWorkflow(server, single(name));
    await startExecution(server, name);
  }
});

afterAll(() => server.remove());

const list = async (query = "") => (await call(server, "GET", `/v1/actions${query}`)).body;

test("has unregistered actions with tasks, in order of all names and in whole pages", async () => {
  const found: [string, boolean, number][] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const body = await list(`?limit=2${cursor === undefined ? "" : `&cursor=${cursor}`}`);
    for (const { definition, registered, queued } of body.items) {
      found.push([definition.name, registered, queued]);
    }
    cursor = body.cursor;
    pages += 1;
  } while (cursor !== undefined);
  expect(found).toEqual([
    ["a", false, 1],
    ["b", true, 0],
    ["c", false, 1],
    ["d", true, 1],
    ["e", false, 1],
    ["f", false, 1],
    ["g", true, 0],
  ]);
  expect(pages).toBe(4);
});

test("says of each queue which workers poll, also that none does", async () => {
  const queueOf = async (name: string) => {
    const { items } = await list();
    return items.find((item: { definition: { name: string } }) => item.definition.name === name)
      .queues[0];
  };
  const none = { waiting: 0, busy: 0 };
  expect(await queueOf("e")).toMatchObject({ queue: "default", queued: 1, workers: none });
  await pollOne(server, "e", { workerId: "one" });
  expect(await queueOf("e")).toMatchObject({ running: 1, workers: { waiting: 0, busy: 1 } });
  const one = await call(server, "GET", "/v1/actions/e");
  expect(one.body.queues[0].workers).toEqual({ waiting: 0, busy: 1 });
});
