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
      const byId = (one: { executionId: string }, two: { executionId: string }) =>
        one.executionId < two.executionId ? -1 : 1;
      expect(result.sent.sort(byId)).toEqual(sent.sort(byId));
      for (const id of targets) expect((await untilEnded(other, id)).status).toBe("COMPLETED");
    },
  );

  test.skipIf(isMissing)("a hundred targets are not too many, one more is", async () => {
    const more = { correlationId: "crowd" };
    for (let i = 0; i < 100; i++) await startExecution(other, "waits", {}, more);
    await startExecution(other, "waits", {}, more);
    const { error } = await send("all", "crowd");
    expect([error.code, error.message]).toEqual([
      "SIGNAL_REFUSED",
      "More than 100 open executions have the correlationId crowd; none got the event.",
    ]);
    const list = await call(server, "GET", "/v1/executions?correlationId=crowd&limit=1");
    const [last] = list.body.items;
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
