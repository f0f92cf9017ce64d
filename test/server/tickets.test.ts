/** Tasks that consumers of a broker do: a ticket in each message, claimed and completed over REST. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { MemoryBrokers } from "../support/memory-brokers.ts";
import {
  type Answer,
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type Ticket, takeTicket } from "../support/tickets.ts";
import { complete, heartbeat, pollOne, service } from "./calls.ts";

const brokers = new MemoryBrokers();
let server: TestServer;
let flows = 0;
beforeAll(async () => {
  server = await startTestServer({ parts: { brokers } });
});
afterAll(() => server.remove());

const claim = async (ticket: string, more: object = {}): Promise<Answer["body"]> =>
  (await call(server, "POST", "/v1/tasks/claim", { ticket, ...more })).body;
const settle = async (ticket: string, more: object = {}): Promise<Answer["body"]> =>
  (await call(server, "POST", "/v1/tasks/complete", { ticket, ...more })).body;

/** What it has put out. */
const resultOf = async (id: string): Promise<Answer["body"]> => {
  const { body } = await call(server, "GET", `/v1/executions/${id}/result?wait=60`);
  return body.result;
};

/** Starts an execution of one action whose tasks are delivered; returns it with its first ticket. */
async function deliverOne(
  options: { readonly rules?: object; readonly action?: object; readonly input?: unknown } = {},
): Promise<{ readonly id: string; readonly queue: string; readonly first: Ticket }> {
  const name = `flow-${++flows}`;
  const queue = `${name}-queue`;
  const rules = { retryCount: 0, deliver: { to: `sqs:${queue}` }, ...options.rules };
  await call(server, "PUT", `/v1/actions/${name}-do`, rules);
  const parameters = "$.input";
  const action = { id: 1, type: "user", name: `${name}-do`, parameters, ...options.action };
  await saveWorkflow(server, { name, rootAction: 1, actions: [action], output: "$.1.output" });
  const id = await startExecution(server, name, options.input ?? { amount: 7 });
  return { id, queue, first: await takeTicket(brokers, queue) };
}

describe("a delivered task", () => {
  test("comes as a message, is claimed once, and completed with its token", async () => {
    const rules = { timeoutSeconds: 90, queueTimeoutSeconds: 600 };
    const { id, first } = await deliverOne({ rules });
    const { ticket, offeredAt, deadline, ...message } = first;
    expect(message).toEqual({
      taskId: expect.stringContaining(id),
      executionId: id,
      workflow: `flow-${flows}`,
      workflowVersion: 1,
      actionId: "1",
      action: `flow-${flows}-do`,
      attempt: 1,
      timeoutSeconds: 90,
      parameters: { amount: 7 },
    });
    // From the commit, a moment later.
    expect(Date.parse(deadline) - Date.parse(offeredAt)).toBeGreaterThanOrEqual(600_000);
    const claimed = await claim(ticket, { workerId: "w1", leaseSeconds: 30 });
    expect(claimed).toMatchObject({
      status: "claimed",
      task: { executionId: id, action: message.action, attempt: 1, heartbeatMs: 30_000 },
    });
    expect(claimed.task.parameters).toEqual({ amount: 7 });
    const { token, leaseUntil } = claimed.task;
    expect(await claim(ticket)).toEqual({ status: "leased", leaseUntil });
    expect(await settle(ticket, { output: 1 })).toEqual({ status: "leased", leaseUntil });
    expect(await heartbeat(server, token)).toEqual(["EXTENDED"]);
    expect(await complete(server, { token, output: { paid: true } })).toEqual(["ACCEPTED"]);
    const ended = await untilEnded(server, id);
    expect([ended.status, await resultOf(id)]).toEqual(["COMPLETED", { paid: true }]);
    expect(ended.actions[0].attempts).toMatchObject([{ number: 1 }]);
    expect(await claim(ticket)).toEqual({ status: "done" });
    expect(await settle(ticket)).toEqual({ status: "done" });
  });

  test("is completed with the ticket alone, once, however many try at once", async () => {
    const { id, first } = await deliverOne();
    const all = Array.from({ length: 20 }, (_, n) => settle(first.ticket, { output: { n } }));
    const answers = (await Promise.all(all)).map(({ status }) => status);
    expect(answers.filter((status) => status === "accepted")).toEqual(["accepted"]);
    expect(answers.filter((status) => status === "done").length).toBe(19);
    expect(await resultOf(id)).toEqual({ n: answers.indexOf("accepted") });
    expect(await settle(first.ticket, { output: { n: 99 } })).toEqual({ status: "done" });
  });

  test("that is claimed and completed at the same time has one holder", async () => {
    for (let round = 0; round < 5; round++) {
      const { id, first } = await deliverOne();
      const { ticket } = first;
      const [settled, claimed] = await Promise.all([settle(ticket, { output: 1 }), claim(ticket)]);
      const outcome = [settled.status, claimed.status].join();
      expect(["accepted,done", "leased,claimed"]).toContain(outcome);
      if (claimed.status === "claimed") {
        const { token } = claimed.task;
        expect(await complete(server, { token, output: 1 })).toEqual(["ACCEPTED"]);
      }
      expect((await untilEnded(server, id)).status).toBe("COMPLETED");
    }
  });

  test("that fails is delivered anew, with another ticket", async () => {
    const retry = { retryCount: 1, retryAfterSeconds: 0.001 };
    const { id, queue, first } = await deliverOne({ rules: retry });
    const failure = { code: "CARD", message: "line 1\nline 2", details: { n: 12 } };
    expect(await settle(first.ticket, { failure })).toEqual({ status: "accepted" });
    const second = await takeTicket(brokers, queue);
    expect(second.attempt).toBe(2);
    expect(second.ticket).not.toBe(first.ticket);
    expect([await claim(first.ticket), await settle(first.ticket)]).toEqual([
      { status: "done" },
      { status: "done" },
    ]);
    const last = { failure: { message: "no", retryable: false } };
    expect(await settle(second.ticket, last)).toEqual({ status: "accepted" });
    expect((await untilEnded(server, id)).error).toMatchObject({ code: "WORKER_ERROR" });
  });

  test("whose lease lapses is delivered anew; the first holder is too late", async () => {
    const retry = { retryCount: 1, retryAfterSeconds: 0.001, timeoutSeconds: 0.05 };
    const { id, queue, first } = await deliverOne({ rules: retry });
    const { task } = await claim(first.ticket);
    const second = await takeTicket(brokers, queue);
    expect(await claim(first.ticket)).toEqual({ status: "stale" });
    expect(await settle(first.ticket)).toEqual({ status: "stale" });
    expect(await complete(server, { token: task.token, output: 1 })).toEqual(["STALE"]);
    expect(await settle(second.ticket, { output: 2 })).toEqual({ status: "accepted" });
    expect(await resultOf(id)).toBe(2);
  });

  test("that is given back can be claimed again", async () => {
    const { id, first } = await deliverOne();
    const { task } = await claim(first.ticket);
    await service(server, "Release", { tokens: [task.token] });
    expect((await claim(first.ticket)).status).toBe("claimed");
    await call(server, "POST", `/v1/executions/${id}/cancel`);
    expect(await claim(first.ticket)).toEqual({ status: "stale" });
  });

  test("waits while its execution is paused", async () => {
    const { id, first } = await deliverOne();
    await call(server, "POST", `/v1/executions/${id}/pause`);
    expect(await claim(first.ticket)).toEqual({ status: "held" });
    expect(await settle(first.ticket)).toEqual({ status: "held" });
    await call(server, "POST", `/v1/executions/${id}/resume`);
    expect(await settle(first.ticket, { output: 3 })).toEqual({ status: "accepted" });
    expect(await resultOf(id)).toBe(3);
  });

  test("that nobody claims fails by its queue timeout", async () => {
    const { id, first } = await deliverOne({ rules: { queueTimeoutSeconds: 0.05 } });
    expect((await untilEnded(server, id)).error.code).toBe("QUEUE_TIMEOUT");
    expect(await claim(first.ticket)).toEqual({ status: "stale" });
  });

  test("may be taken by a worker that polls for it, too", async () => {
    const { id, first } = await deliverOne();
    const { token } = await pollOne(server, first.action);
    expect((await claim(first.ticket)).status).toBe("leased");
    expect(await complete(server, { token, output: 5 })).toEqual(["ACCEPTED"]);
    expect(await claim(first.ticket)).toEqual({ status: "done" });
    expect(await resultOf(id)).toBe(5);
  });

  test("with large parameters has their address instead, and passes them on exactly", async () => {
    const text = `{"n":12345678901234567890,"text":"${"ü".repeat(limits.ticketParametersBytesMax / 2)}"}`;
    const { id, first } = await deliverOne({
      input: "x",
      action: { parameters: { of: "$.input" } },
    });
    expect(first.parameters).toEqual({ of: "x" });
    const { workflow } = first;
    const body = `{"workflow":"${workflow}","input":${text}}`;
    const started = await call(server, "POST", "/v1/executions", body);
    const large = await takeTicket(brokers, `${workflow}-queue`);
    expect(large.parameters).toBeUndefined();
    const url = new URL(large.parametersUrl, server.url);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, `{"of":${text}}`]);
    expect((await settle(large.ticket)).status).toBe("accepted");
    expect((await fetch(url)).status).toBe(404);
    expect((await settle(first.ticket)).status).toBe("accepted");
    for (const one of [id, started.body.id]) await untilEnded(server, one);
  });

  test("of a map is delivered for each item", async () => {
    const name = `map-${++flows}`;
    await call(server, "PUT", `/v1/actions/${name}`, { deliver: { to: `kafka:${name}` } });
    const map = { type: "system", name: "map", items: "$.input", action: name };
    await saveWorkflow(server, {
      name,
      rootAction: 1,
      actions: [{ id: 1, ...map }],
      output: "$.1.output",
    });
    const id = await startExecution(server, name, [{ n: 5 }, { n: 6 }, { n: 7 }]);
    const tickets = [];
    for (let i = 0; i < 3; i++) tickets.push(await takeTicket(brokers, name));
    expect(tickets.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    for (const { ticket, parameters } of tickets) {
      expect(await settle(ticket, { output: parameters })).toEqual({ status: "accepted" });
    }
    expect(await claim(tickets[0]!.ticket)).toEqual({ status: "done" });
    expect((await resultOf(id)).results).toEqual([{ n: 5 }, { n: 6 }, { n: 7 }]);
  });
});

describe("a request", () => {
  test("with another ticket is refused", async () => {
    const { first } = await deliverOne();
    const [head = "", seal = ""] = first.ticket.split(".");
    const forged = Buffer.from(Buffer.from(head, "base64url").toString().replace(":1:", ":2:"));
    for (const ticket of ["x", `${head}.`, `${forged.toString("base64url")}.${seal}`]) {
      const { status, body } = await call(server, "POST", "/v1/tasks/claim", { ticket });
      expect([status, body.error.code, body.error.details[0].pointer]).toEqual([
        400,
        "INVALID_ARGUMENT",
        "/ticket",
      ]);
    }
    expect((await fetch(`${server.url}/v1/tasks/${head}.x/parameters`)).status).toBe(400);
    const both = { output: 1, failure: {} };
    const path = "/v1/tasks/complete";
    const refused = await call(server, "POST", path, { ticket: first.ticket, ...both });
    expect(refused.status).toBe(400);
  });

  test("needs a key for workers, and for the action", async () => {
    const guarded = await startTestServer({ parts: { brokers } });
    try {
      const headers = { authorization: `Bearer ${guarded.firstKeySecret}` };
      const make = async (scopes: string[], actions?: string[]) => {
        const key = { name: "k", scopes, ...(actions && { actions }) };
        return (await call(guarded, "POST", "/v1/keys", key, headers)).body.key as string;
      };
      const admin = await make(["admin"]);
      headers.authorization = `Bearer ${admin}`;
      const as = async (key: string | undefined, path: string, body?: object) => {
        const sent: Record<string, string> =
          key === undefined ? {} : { authorization: `Bearer ${key}` };
        const answer = await call(guarded, body ? "POST" : "GET", path, body, sent);
        return answer.status;
      };
      const rules = { deliver: { to: "sqs:guarded" } };
      await call(guarded, "PUT", "/v1/actions/pay", rules, headers);
      const actions = [{ id: 1, type: "user", name: "pay" }];
      await call(guarded, "POST", "/v1/workflows", { name: "p", rootAction: 1, actions }, headers);
      await call(guarded, "POST", "/v1/executions", { workflow: "p" }, headers);
      const { ticket } = await takeTicket(brokers, "guarded");
      const [reader, other, own] = [
        await make(["read"]),
        await make(["worker"], ["ship"]),
        await make(["worker"], ["pay"]),
      ];
      for (const path of ["/v1/tasks/claim", "/v1/tasks/complete"]) {
        const body = { ticket };
        expect(await as(undefined, path, body)).toBe(401);
        expect([await as(reader, path, body), await as(other, path, body)]).toEqual([403, 403]);
      }
      const parameters = `/v1/tasks/${ticket}/parameters`;
      expect([await as(other, parameters), await as(own, parameters)]).toEqual([403, 200]);
      expect(await as(own, "/v1/tasks/complete", { ticket })).toBe(200);
    } finally {
      await guarded.remove();
    }
  });
});

describe("deliver", () => {
  test("is checked when the action is saved", async () => {
    const save = async (deliver: unknown) => {
      const { status, body } = await call(server, "PUT", "/v1/actions/checked", { deliver });
      return status === 200 ? body.deliver : body.error.details[0];
    };
    expect(await save({ to: "kafka:orders.v1" })).toEqual({ to: "kafka:orders.v1" });
    const url = "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
    expect(await save({ to: url })).toEqual({ to: url });
    expect(await save({ to: "rabbit:orders" })).toMatchObject({
      pointer: "/deliver/to",
      message: expect.stringContaining("kafka:<topic>"),
    });
    expect(await save({ to: 5 })).toMatchObject({ pointer: "/deliver/to" });
    expect(await save({})).toMatchObject({ pointer: "/deliver" });
    expect(await save({ to: "kafka:a", topic: "b" })).toMatchObject({ pointer: "/deliver/topic" });
  });

  test("stays when a worker registers the action", async () => {
    const deliver = { to: "kafka:kept" };
    await call(server, "PUT", "/v1/actions/kept", { deliver, retryCount: 1 });
    await service(server, "RegisterActions", { actions: [{ name: "kept", retryCount: 4 }] });
    const { body } = await call(server, "GET", "/v1/actions/kept");
    expect(body.definition).toEqual({ name: "kept", retryCount: 4, deliver });
    await call(server, "PUT", "/v1/actions/kept", { retryCount: 5 });
    const after = await call(server, "GET", "/v1/actions/kept");
    expect(after.body.definition).toEqual({ name: "kept", retryCount: 5 });
  });
});
