/** Failures that are handled, skipped for and raced, as clients and workers see them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { currentFormat } from "../../src/model/format.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, failed, heartbeat, pollOne } from "./calls.ts";

let format: number = currentFormat;
let server: TestServer;
beforeAll(async () => {
  const store = Object.assign(new MemoryStore({ partitions: 2 }), { format: () => format });
  server = await startTestServer({ parts: { store } });
});
afterAll(() => server.remove());

const user = (id: string, rest: object = {}) => ({
  id,
  type: "user",
  name: id,
  retry: { retryCount: 0 },
  ...rest,
});
const to = (id: string) => ({ default: id });

async function run(definition: object, name: string): Promise<string> {
  await saveWorkflow(server, { name, ...definition });
  return startExecution(server, name);
}

const succeed = async (action: string) =>
  expect(await complete(server, done(await pollOne(server, action)))).toEqual(["ACCEPTED"]);
const fail = async (action: string) => {
  const result = failed(await pollOne(server, action), "NO_ROOM");
  expect(await complete(server, result)).toEqual(["ACCEPTED"]);
};

const saga = {
  rootAction: "flight",
  actions: [
    user("flight", { next: to("hotel"), onError: to("tell") }),
    user("hotel", { next: to("car"), onError: { default: ["cancel-flight", "tell"] } }),
    user("car", { next: to("confirm"), onError: { default: ["cancel-hotel", "tell"] } }),
    user("cancel-hotel", { next: to("cancel-flight") }),
    user("cancel-flight"),
    user("tell", {
      parameters: { failed: "$.execution.error.action", flight: "$.flight.status" },
    }),
    user("confirm"),
  ],
};

test("a saga is undone from the step that failed, and its handler knows which", async () => {
  const id = await run(saga, "saga");
  await succeed("flight");
  await fail("hotel");
  await succeed("cancel-flight");
  const tell = await pollOne(server, "tell");
  expect(tell.parameters).toEqual({ failed: "hotel", flight: "COMPLETED" });
  await complete(server, done(tell));
  const { status, actions } = await untilEnded(server, id);
  const told = actions.map(({ id, status, skippedBy, causes }: Record<string, unknown>) =>
    [id, status, skippedBy, causes].filter((one) => one !== undefined),
  );
  expect([status, ...told]).toEqual([
    "COMPLETED",
    ["flight", "COMPLETED"],
    ["hotel", "FAILED"],
    ["car", "SKIPPED", "failure", ["hotel"]],
    ["cancel-hotel", "SKIPPED", "dead-path"],
    ["cancel-flight", "COMPLETED"],
    ["tell", "COMPLETED"],
    ["confirm", "SKIPPED", "failure", ["hotel"]],
  ]);
  const { body } = await call(server, "GET", `/v1/executions/${id}/history`);
  const skipped = body.items.filter(({ kind }: { kind: string }) => kind === "action.skipped");
  expect(skipped.map(({ action, details }: Record<string, unknown>) => [action, details])).toEqual([
    ["car", { by: "failure", causes: ["hotel"] }],
    ["cancel-hotel", undefined],
    ["confirm", { by: "failure", causes: ["hotel"] }],
  ]);
});

test("the worker of a lost race hears of it, and its result is stale", async () => {
  const actions = [
    user("quick", { next: to("first") }),
    user("slow", { next: to("first") }),
    user("first", { join: { count: "any", cancelRest: true } }),
  ];
  const id = await run({ rootAction: ["quick", "slow"], actions }, "race");
  const slow = await pollOne(server, "slow");
  await succeed("quick");
  expect(await heartbeat(server, slow.token)).toEqual(["CANCELLED"]);
  expect(await complete(server, done(slow))).toEqual(["STALE"]);
  await succeed("first");
  const ended = await untilEnded(server, id);
  expect(ended.status).toBe("COMPLETED");
  expect(ended.actions[1]).toMatchObject({ status: "CANCELLED", skippedBy: "lost-race" });
});

test("an execution that began beside an older server goes on as it began", async () => {
  const definition = {
    rootAction: "card",
    actions: [
      user("card", { next: to("ship"), onError: to("invoice") }),
      user("invoice", { next: to("ship") }),
      user("ship"),
    ],
  };
  format = 3;
  const old = await run(definition, "fallback");
  format = currentFormat;
  await fail("card");
  await succeed("invoice");
  const [, , ship] = (await untilEnded(server, old)).actions;
  expect(ship).toMatchObject({ status: "SKIPPED", skippedBy: "failure" });
  const id = await startExecution(server, "fallback");
  await fail("card");
  await succeed("invoice");
  await succeed("ship");
  expect((await untilEnded(server, id)).status).toBe("COMPLETED");
});

test("a join that can never be is refused where it stands", async () => {
  const join = { count: 3, cancelRest: "yes" };
  const actions = [user("a", { next: to("j") }), user("j", { join })];
  const definition = { name: "refused", rootAction: "a", actions };
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  expect([status, body.error.code]).toEqual([422, "DEFINITION_REFUSED"]);
  const instead = 'for a join that lets the rest go on, "join" is the count itself';
  expect(body.error.details).toEqual([
    { pointer: "/actions/1/join/cancelRest", message: `It must be true, not "yes"; ${instead}.` },
    {
      pointer: "/actions/1/join/count",
      message: "It waits for 3 edges, but only 1 lead here.",
    },
  ]);
});
