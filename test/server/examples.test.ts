/** Both example workflows, unchanged, through the real edge, with a real worker, in all their paths. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NonRetryableError, type Worker } from "../../src/worker/index.ts";
import {
  call,
  createWorker,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
  untilEvent,
} from "../support/orchy.ts";

const example = (name: string) =>
  readFileSync(join(import.meta.dir, `../../examples/${name}.json`), "utf8");

let server: TestServer;
let worker: Worker;
const mails: string[] = [];

beforeAll(async () => {
  server = await startTestServer();
  for (const name of ["seed", "order"]) {
    const { status, body } = await call(server, "POST", "/workflow", example(name));
    expect([status, body]).toEqual([200, { created: true }]);
  }
  worker = createWorker(server);
  worker.action("add-params-action", async (input) => input);
  worker.action("log-action", async (input) => ({ logged: input }));
  worker.action("reserve-stock", async () => ({ reserved: true }));
  worker.action("charge-card", async (input) => {
    const { amount } = input as { amount: number };
    if (amount > 1_000) throw new NonRetryableError("CARD_DECLINED", "declined");
    return { charged: amount };
  });
  worker.action("book-courier", async (input) => ({ booked: input }));
  worker.action("send-mail", async (input) => {
    const { to, text } = input as { to: string; text: string };
    mails.push(`${to}: ${text}`);
    return { sent: true };
  });
  await worker.start();
});

afterAll(async () => {
  await worker.stop();
  await server.remove();
});

test("the seed example ends COMPLETED with the right data", async () => {
  const started = await call(server, "POST", "/flow/execute", {
    name: "test_workflow",
    input: { age: 89 },
  });
  const id: string = started.body.flowId;
  const path = `/execution/test_workflow/${id}`;
  await untilEvent(server, id, (entry) => entry.kind === "action.waiting" && entry.action === "7");
  expect((await call(server, "GET", path)).body.state).toBe("DELAY WAITING");
  await untilEvent(server, id, (entry) => entry.kind === "action.waiting" && entry.action === "3");
  expect((await call(server, "GET", path)).body).toMatchObject({
    state: "EVENT WAITING",
    event: "test",
  });
  const sent = { name: "test_workflow", flowId: id, event: "test" };
  expect(await call(server, "POST", "/flow/event", sent)).toEqual({ status: 200, body: undefined });
  await untilEnded(server, id);
  const { body } = await call(server, "GET", path);
  expect(body).toMatchObject({
    id,
    state: "COMPLETED",
    runningActions: [],
    executedActions: [1, 6, 7, 2, 3, 4],
    data: {
      input: { age: 89 },
      "1": { output: { key1: "200", key2: 39 } },
      "6": { output: { x: "nesX" } },
      "4": { output: { logged: { k1: 23, k2: "200", k3: "nesX" } } },
    },
  });
}, 120_000);

describe("the order example", () => {
  const order = (shipping: string, unitPrice: number) => ({
    orderId: `o-${shipping}-${unitPrice}`,
    email: "ann@example.com",
    shipping,
    lines: [{ quantity: 2, unitPrice }],
  });
  const statuses = (body: { actions: { id: string; status: string }[] }) =>
    Object.fromEntries(body.actions.map((action) => [action.id, action.status]));
  const waiting = (entry: { kind: string; action?: string }) =>
    entry.kind === "action.waiting" && entry.action === "courier";

  test("express: picked up, the customer is told", async () => {
    const id = await startExecution(server, "order", order("express", 60));
    await untilEvent(server, id, waiting);
    const payload = { parcel: "P-1" };
    const signalled = await call(server, "POST", `/v1/executions/${id}/signal`, {
      event: "picked-up",
      payload,
    });
    expect(signalled.status).toBeLessThan(300);
    const body = await untilEnded(server, id);
    expect(body.status).toBe("COMPLETED");
    expect(body.result).toEqual({ orderId: "o-express-60", total: 120, parcel: "P-1" });
    expect(statuses(body)).toMatchObject({ express: "COMPLETED", standard: "SKIPPED" });
    expect(body.data.express.output.booked.by).toBe("air");
    expect(mails).toContain("ann@example.com: Your order o-express-60 is on its way: parcel P-1");
  });

  test("standard: below 100 a charge for shipping, by road after a delay", async () => {
    const id = await startExecution(server, "order", order("standard", 20));
    await untilEvent(server, id, waiting);
    const sent = { name: "order", flowId: id, event: "picked-up", payload: { parcel: 7 } };
    expect((await call(server, "POST", "/event", sent)).status).toBe(200);
    const body = await untilEnded(server, id);
    expect(body.result).toEqual({ orderId: "o-standard-20", total: 45, parcel: 7 });
    expect(statuses(body)).toMatchObject({ express: "SKIPPED", book: "COMPLETED" });
  });

  test("not picked up in time: the dispatcher is asked", async () => {
    // The same definition with a shorter patience, so that the test need not wait an hour.
    const hasty = JSON.parse(example("order"));
    hasty.name = "hasty-order";
    hasty.actions.find((action: { id: string }) => action.id === "courier").timeoutSeconds = 0.2;
    await call(server, "POST", "/v1/workflows", hasty);
    const id = await startExecution(server, "hasty-order", order("express", 70));
    const body = await untilEnded(server, id);
    expect(body.status).toBe("COMPLETED");
    expect(statuses(body)).toMatchObject({ chase: "COMPLETED", notify: "SKIPPED" });
    expect(mails).toContain("dispatch@example.com: Order o-express-70 was not picked up");
  });

  test("card declined: nothing is shipped", async () => {
    const id = await startExecution(server, "order", order("express", 5_000));
    const body = await untilEnded(server, id);
    expect(body.status).toBe("COMPLETED");
    expect(statuses(body)).toEqual({
      price: "COMPLETED",
      reserve: "COMPLETED",
      charge: "FAILED",
      ship: "SKIPPED",
      express: "SKIPPED",
      standard: "SKIPPED",
      book: "SKIPPED",
      courier: "SKIPPED",
      chase: "SKIPPED",
      notify: "SKIPPED",
      decline: "COMPLETED",
    });
    expect(mails).toContain("ann@example.com: Your card was declined");
  });
});
