/** signal actions, through REST: whom they reach, what they say of it, and that each gets it once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type Answer,
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";

const flow = (name: string, actions: readonly object[]) => ({ name, rootAction: "a", actions });
const system = (name: string, rest: object) => ({ id: "a", type: "system", name, ...rest });

const byTarget = (one: { executionId: string }, two: { executionId: string }) =>
  one.executionId < two.executionId ? -1 : 1;

const stores = [
  ["SQLite", async () => undefined],
  ["Redis", startRedis],
] as const;

describe.each(stores)("on %s", (name, startStore) => {
  const isMissing = name === "Redis" && redisMissing !== undefined;
  let redis: RedisServer | undefined;
  let servers: readonly TestServer[] = [];
  let server: TestServer;
  let other: TestServer;

  beforeAll(async () => {
    if (isMissing) return;
    redis = await startStore();
    const store = redis && { store: `redis://127.0.0.1:${redis.port}` };
    servers = redis
      ? [await startTestServer(store), await startTestServer(store)]
      : [await startTestServer()];
    server = servers[0]!;
    other = servers.at(-1)!;
    await saveWorkflow(server, flow("waits", [system("wait", { event: "go" })]));
    const sends = { event: "go", payload: "$.input.payload" };
    const byId = system("signal", { executionId: "$.input.to", ...sends });
    const toAll = system("signal", { correlationId: "$.input.to", ...sends });
    await saveWorkflow(server, flow("one", [byId]));
    await saveWorkflow(server, flow("all", [toAll]));
  }, 60_000);
  afterAll(async () => {
    for (const one of servers) await one.remove();
    await redis?.stop();
  });

  const send = async (
    workflow: string,
    to: unknown,
    more: object = {},
  ): Promise<Answer["body"]> => {
    const payload = "@12345678901234567890";
    return untilEnded(server, await startExecution(server, workflow, { to, payload }, more));
  };

  test.skipIf(isMissing)("an execution gets the event with its payload", async () => {
    const target = await startExecution(other, "waits");
    const { result } = await send("one", target);
    expect(result).toEqual({ sent: [{ executionId: target, outcome: "accepted" }] });
    const ended = await untilEnded(other, target);
    expect(ended.result).toEqual({ event: "go", payload: "@12345678901234567890" });
    const { error } = await send("one", target);
    expect(error).toEqual({
      code: "SIGNAL_REFUSED",
      message: `The execution ${target} has ended.`,
      details: { sent: [{ executionId: target, outcome: "ended" }] },
      action: "a",
    });
  });

  test.skipIf(isMissing)(
    "all open executions of a correlationId get it, but not the one that sends",
    async () => {
      const more = { correlationId: "together" };
      const targets: string[] = [];
      for (let i = 0; i < 5; i++) targets.push(await startExecution(other, "waits", {}, more));
      const done = await startExecution(server, "all", { to: "nobody", payload: 1 }, more);
      expect((await untilEnded(server, done)).status).toBe("FAILED");
      const { result } = await send("all", "together", more);
      const sent = targets.map((executionId) => ({ executionId, outcome: "accepted" }));
      expect(result.sent.sort(byTarget)).toEqual(sent.sort(byTarget));
      for (const id of targets) expect((await untilEnded(other, id)).status).toBe("COMPLETED");
    },
  );

  const post = (body: object) => call(other, "POST", "/v1/signals", body);

  test.skipIf(isMissing)("children of the correlationId get it if they wait for it", async () => {
    const more = { correlationId: "family" };
    const calls = (workflow: string) => system("workflow", { workflow, parameters: {} });
    await saveWorkflow(server, flow("deaf", [{ id: "a", type: "user", name: "nobody-does" }]));
    await saveWorkflow(server, flow("over-deaf", [calls("deaf")]));
    await saveWorkflow(server, flow("over-waits", [calls("waits")]));
    const parents = [
      await startExecution(server, "over-deaf", {}, more),
      await startExecution(server, "over-waits", {}, more),
    ];
    const children: string[] = [];
    for (const parent of parents) {
      while (children.length < parents.indexOf(parent) + 1) {
        const { body } = await call(server, "GET", `/v1/executions?parent=${parent}`);
        children.push(...body.items.map(({ id }: { id: string }) => id));
      }
    }
    const { result } = await send("all", "family");
    expect(result.sent).toEqual([{ executionId: children[1], outcome: "accepted" }]);
    expect((await untilEnded(server, parents[1]!)).status).toBe("COMPLETED");
    const { error } = await send("all", "family");
    const message = "No open execution of the correlationId family has a wait for go.";
    expect([error.code, error.message]).toEqual(["SIGNAL_REFUSED", message]);
    const refused = await post({ correlationId: "family", event: "go" });
    expect([refused.status, refused.body.error.message]).toEqual([404, message]);
  });

  test.skipIf(isMissing)(
    "over REST the answer lists who got it, and a repeat does too",
    async () => {
      const correlationId = "order-1";
      const targets: string[] = [];
      for (let i = 0; i < 3; i++) {
        targets.push(await startExecution(server, "waits", {}, { correlationId }));
      }
      const text = `{"correlationId":"order-1","event":"go","payload":12345678901234567890,"signalId":"s"}`;
      const sentBy = (outcome: object) =>
        targets.map((executionId) => ({ executionId, ...outcome })).sort(byTarget);
      const first = await call(other, "POST", "/v1/signals", text);
      expect(first.status).toBe(200);
      expect(first.body.sent.sort(byTarget)).toEqual(
        sentBy({ outcome: "accepted", delivery: "delivered" }),
      );
      for (const id of targets) {
        await untilEnded(server, id);
        const response = await fetch(`${server.url}/v1/executions/${id}/result`);
        expect(await response.text()).toContain('"payload":12345678901234567890');
      }
      const again = await call(other, "POST", "/v1/signals", text);
      expect([again.status, again.body.sent.sort(byTarget)]).toEqual([
        200,
        sentBy({ outcome: "duplicate" }),
      ]);
      const reused = await post({ correlationId, event: "go", payload: 1, signalId: "s" });
      expect([reused.status, reused.body.error.code]).toEqual([409, "CONFLICT"]);
      // Without the id, and with another one, it is another signal, and all of them have ended.
      for (const signalId of [undefined, "t"]) {
        const { status, body } = await post({ correlationId, event: "go", signalId });
        const message = "No open execution has the correlationId order-1.";
        expect([status, body.error.code, body.error.message]).toEqual([404, "NOT_FOUND", message]);
      }
    },
  );

  test.skipIf(isMissing)("a hundred targets are not too many, one more is", async () => {
    const more = { correlationId: "crowd" };
    for (let i = 0; i < 100; i++) await startExecution(other, "waits", {}, more);
    await startExecution(other, "waits", {}, more);
    const { error } = await send("all", "crowd");
    expect([error.code, error.message]).toEqual([
      "SIGNAL_REFUSED",
      "More than 100 open executions of the correlationId crowd wait for go; none got the event.",
    ]);
    const list = await call(server, "GET", "/v1/executions?correlationId=crowd&limit=1");
    const [last] = list.body.items;
    const refused = await post({ correlationId: "crowd", event: "go" });
    expect([refused.status, refused.body.error.code]).toEqual([429, "TOO_MANY"]);
    await call(server, "POST", `/v1/executions/${last.id}/cancel`, {});
    expect((await send("all", "crowd")).result.sent).toHaveLength(100);
  });

  test.skipIf(isMissing)("one that keeps as many signals as it can refuses more", async () => {
    await saveWorkflow(server, flow("busy", [{ id: "a", type: "user", name: "nobody-does" }]));
    const target = await startExecution(other, "busy");
    for (let i = 0; i < 100; i++) {
      await call(server, "POST", `/v1/executions/${target}/signal`, { event: "go", payload: i });
    }
    expect((await send("one", target)).error.details).toEqual({
      sent: [{ executionId: target, outcome: "too-many" }],
    });
  });

  test.skipIf(isMissing).each([
    ["one", 7, "INVALID_VALUE", "executionId must be text of 1 to 256 characters, not 7."],
    ["one", "nobody", "SIGNAL_REFUSED", "There is no execution nobody."],
    ["all", "nobody", "SIGNAL_REFUSED", "No open execution has the correlationId nobody."],
  ])("to %s, %j: it fails with %s", async (workflow, to, code, message) => {
    const { error } = await send(workflow, to);
    expect([error.code, error.message]).toEqual([code, message]);
  });
});
