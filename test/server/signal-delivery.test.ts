/** What the answer to a signal says of its way. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEvent,
} from "../support/orchy.ts";
import { single } from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.remove());

async function startWaits(name: string, events: readonly string[]): Promise<string> {
  const wait = (event: string, index: number) => ({
    id: `w${index}`,
    type: "system",
    name: "wait",
    event,
  });
  const actions = events.map(wait);
  await saveWorkflow(server, { name, rootAction: actions.map(({ id }) => id), actions });
  const id = await startExecution(server, name, { event: "paid" });
  await untilEvent(server, id, ({ kind }) => kind === "action.waiting");
  return id;
}

async function send(id: string, event: string, signalId?: string) {
  const body = { event, ...(signalId !== undefined && { signalId }) };
  const answer = await call(server, "POST", `/v1/executions/${id}/signal`, body);
  expect(answer.status).toBe(200);
  return answer.body;
}

test("delivered to an action that waits, and a repeat is only a duplicate", async () => {
  const id = await startWaits("delivered", ["paid", "lost"]);
  const delivered = { outcome: "accepted", delivery: "delivered" };
  expect(await send(id, "paid", "one")).toEqual(delivered);
  expect(await send(id, "paid", "one")).toEqual({ outcome: "duplicate" });
  expect(await send(id, "lost")).toEqual(delivered);
});

test("buffered for one that is still to come, with a warning where none will", async () => {
  const id = await startWaits("buffered", ["paid", "shipped"]);
  await send(id, "paid");
  expect(await send(id, "paid")).toEqual({ outcome: "accepted", delivery: "buffered" });
  const warning = (message: string) => [{ pointer: "/event", message }];
  expect(await send(id, "shiped")).toEqual({
    outcome: "accepted",
    delivery: "buffered",
    warnings: warning('No action of the workflow waits for "shiped"; the nearest is "shipped".'),
  });
  expect((await send(id, "anything-else")).warnings).toEqual(
    warning('No action of the workflow waits for "anything-else".'),
  );
});

test("no warning where the event of a wait is a template, one where nothing ever waits", async () => {
  const id = await startWaits("templates", ["shipped", "{$.input.event}"]);
  expect(await send(id, "shiped")).toEqual({ outcome: "accepted", delivery: "buffered" });
  await saveWorkflow(server, single("waitless"));
  const other = await startExecution(server, "waitless");
  const message = "No action of the workflow waits for signals.";
  expect((await send(other, "paid")).warnings).toEqual([{ pointer: "/event", message }]);
});
