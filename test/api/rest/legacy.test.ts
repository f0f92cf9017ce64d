/** The legacy routes, as existing scripts call them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { call, startTestServer, type TestServer, work } from "./support.ts";
import { delaying, echo, greet, waiting } from "./workflows.ts";

let server: TestServer;
const get = (path: string) => call(server, "GET", path);
const post = (path: string, body?: unknown, headers?: Record<string, string>) =>
  call(server, "POST", path, body, headers);

beforeAll(async () => {
  server = await startTestServer();
  for (const definition of [echo, greet, waiting, delaying]) await post("/workflow", definition);
});
afterAll(() => server.stop());

async function start(name: string, input?: unknown): Promise<string> {
  return (await post("/flow/execute", { name, input })).json.flowId;
}

test("an old definition is saved, its unknown fields noted in the log", async () => {
  const old = { ...greet, name: "old", schemaVersion: 2 };
  const reply = await post("/metadata/workflow", old);
  expect(reply.status).toBe(200);
  expect(reply.json).toEqual({ created: true });
  const warning = server.log.find((line) => line.name === "old");
  expect(warning).toMatchObject({ level: "warn" });
  expect(String(warning?.warnings)).toContain("/schemaVersion");
  for (const path of ["/workflow/old", "/metadata/workflow/old"]) {
    expect((await get(path)).json).toMatchObject({ name: "old", rootAction: 1 });
  }
});

/** As the Go server prints a definition: with every field that it knows. */
const unset = {
  parameters: null,
  next: null,
  expression: "",
  join: 0,
  delaySeconds: 0,
  event: "",
  timeoutSeconds: 0,
};
const exported = {
  name: "exported",
  rootAction: 0,
  actions: [
    { ...unset, id: 0, type: "user", name: "say-hello", next: { default: [7] } },
    { ...unset, id: 7, type: "system", name: "delay", delaySeconds: 1, next: { default: [3] } },
    { ...unset, id: 3, type: "SYSTEM", name: "Wait", event: "go", next: { default: [2] } },
    { ...unset, id: 2, type: "system", name: "switch", expression: "{$.0.output}" },
  ],
  onFailure: "",
  onSuccess: "delete",
};

test("what the Go server exports is saved, without what it writes for what is not set", async () => {
  expect(await post("/metadata/workflow", exported)).toMatchObject({ status: 200 });
  expect(server.log.find((line) => line.name === "exported" && line.level === "warn")).toEqual(
    expect.objectContaining({ warnings: expect.not.stringContaining("is ignored") }),
  );
  expect((await get("/metadata/workflow/exported")).json).toEqual({
    name: "exported",
    version: 1,
    rootAction: 0,
    actions: [
      { id: 0, type: "user", name: "say-hello", next: { default: [7] } },
      { id: 7, type: "system", name: "delay", delaySeconds: 1, next: { default: [3] } },
      { id: 3, type: "system", name: "wait", event: "go", next: { default: [2] } },
      { id: 2, type: "system", name: "switch", expression: "{$.0.output}" },
    ],
    onSuccess: "DELETE",
  });
  expect((await post("/v1/workflows", exported)).status).toBe(422);
});

test("a wait with the time 0 of the Go server waits without an end", async () => {
  const wait = { ...unset, id: 3, type: "system", name: "wait", event: "go" };
  await post("/workflow", { name: "endless", rootAction: 3, actions: [wait] });
  const at = `/execution/endless/${await start("endless")}`;
  expect((await get(at)).json.state).toBe("EVENT WAITING");
});

test("members count in any letter case, as the Go server read them", async () => {
  const actions = [{ ID: 1, Type: "User", NAME: "say-spelled", Parameters: { n: "$.input.n" } }];
  const saved = await post("/workflow", { Name: "spelled", ROOTACTION: 1, Actions: actions });
  expect(saved.status).toBe(200);
  const action = { Name: "spelled-action", Retry_Count: 0, TIMEOUT_SECONDS: 0, retry_policy: "" };
  expect((await post("/metadata/action", action)).status).toBe(200);
  const rules = (await get("/metadata/action/spelled-action")).json;
  expect(rules).toMatchObject({ retry_count: 0, timeout_seconds: 300 });

  const begun = await post("/flow/execute", '{"NAME":"spelled","Input":{"n":9007199254740993}}');
  const at = `/execution/spelled/${begun.json.flowId}`;
  expect((await get(at)).text).toContain('"input":{"n":9007199254740993}');
  const flowId = await start("waiting");
  const sent = await post("/event", { Name: "waiting", flowID: flowId, Event: "go", PayLoad: [1] });
  expect(sent.status).toBe(200);
  expect((await get(`/execution/waiting/${flowId}`)).json.data["3"].output.payload).toEqual([1]);
});

test("an action's rules go in and out in snake case", async () => {
  const action = {
    name: "old-action",
    retry_count: 2,
    retry_after_seconds: 5,
    retry_policy: "FIXED",
    timeout_seconds: 60,
  };
  expect((await post("/metadata/action", action)).json).toEqual({ created: true });
  expect((await get("/metadata/action/old-action")).json).toEqual(action);
  await post("/metadata/action", { name: "plain" });
  expect((await get("/metadata/action/plain")).json).toEqual({
    name: "plain",
    retry_count: 3,
    retry_after_seconds: 1,
    retry_policy: "EXPONENTIAL",
    timeout_seconds: 300,
  });
});

test("an execution is started, seen running and seen completed", async () => {
  const reply = await post("/execution", `{"name":"greet","input":{"n":9007199254740993}}`);
  const id = reply.json.flowId;
  const at = `/execution/greet/${id}`;
  expect((await get(at)).json).toMatchObject({
    id,
    state: "RUNNING",
    runningActions: [1],
    completedActions: [],
    executedActions: [],
    waitingOnEvent: "",
    event: "",
  });
  await work(server, "say-hello", `{"key1":"200"}`);
  const ended = await get(at);
  expect(ended.json).toMatchObject({
    state: "COMPLETED",
    runningActions: [],
    completedActions: [1],
    executedActions: [1],
    data: { "1": { output: { key1: "200" } } },
  });
  expect(ended.text).toContain(`"input":{"n":9007199254740993}`);
  expect((await get(`/execution/echo/${id}`)).status).toBe(404);
});

test("a script may forget the content type", async () => {
  const body = JSON.stringify({ name: "echo", input: 1 });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  expect((await post("/flow/execute", body, headers)).status).toBe(200);
});

test("waits and delays show in the state, and an event ends the wait", async () => {
  const delayed = await start("delaying");
  expect((await get(`/execution/delaying/${delayed}`)).json).toMatchObject({
    state: "DELAY WAITING",
    runningActions: [7],
  });
  const id = await start("waiting");
  const at = `/execution/waiting/${id}`;
  expect((await get(at)).json).toMatchObject({
    state: "EVENT WAITING",
    waitingOnEvent: "go",
    event: "go",
  });
  const sent = await post("/flow/event", { name: "waiting", flowId: id, event: "go" });
  expect([sent.status, sent.text]).toEqual([200, ""]);
  expect((await get(at)).json).toMatchObject({
    state: "COMPLETED",
    data: { "3": { output: { event: "go", payload: null } } },
  });
  const other = await start("waiting");
  const event = { name: "waiting", flowId: other, event: "go", payload: [1] };
  expect((await post("/event", event)).status).toBe(200);
  expect((await get(`/execution/waiting/${other}`)).json.data["3"].output.payload).toEqual([1]);
});

test("pause and resume work by POST, as they did at first", async () => {
  const id = await start("waiting");
  const flow = { name: "waiting", flowId: id };
  expect(await post("/flow/pause", flow)).toMatchObject({ status: 200, json: { state: "PAUSED" } });
  expect((await get(`/execution/waiting/${id}`)).json.state).toBe("PAUSED");
  const resumed = await post("/flow/resume", flow);
  expect(resumed).toMatchObject({ status: 200, json: { id, state: "RUNNING" } });
  expect((await post("/flow/pause", { ...flow, name: "echo" })).status).toBe(404);
  expect((await post("/flow/pause", { name: "waiting" })).status).toBe(400);
});

test("pause and resume work by GET, and not by HEAD or from other sites", async () => {
  const id = await start("waiting");
  const at = `/execution/waiting/${id}`;
  expect((await get(`${at}/pause`)).json).toEqual({ id, state: "PAUSED" });
  expect((await get(at)).json.state).toBe("PAUSED");
  expect((await get(`${at}/resume`)).json).toEqual({ id, state: "RUNNING" });
  const head = await call(server, "HEAD", `${at}/pause`);
  expect(head.status).toBe(405);
  // A page of another site can make a browser fetch this address.
  const headers = { "sec-fetch-site": "cross-site" };
  expect((await call(server, "GET", `${at}/pause`, undefined, headers)).status).toBe(403);
  // By an address of a network, browsers do not say what sends it.
  const browser = { "user-agent": "Mozilla/5.0 (X11)", "accept-language": "en" };
  const image = await call(server, "GET", `${at}/pause`, undefined, browser);
  expect([image.status, image.text.includes("does not say which page")]).toEqual([403, true]);
  expect((await get(at)).json.state).toBe("EVENT WAITING");
  for (const others of [
    { ...browser, "sec-fetch-site": "none" },
    { ...browser, authorization: "Bearer x" },
    { "user-agent": "Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1" },
  ]) {
    expect((await call(server, "GET", `${at}/pause`, undefined, others)).status).toBe(200);
  }
});

test("a cancelled execution is a failed one", async () => {
  const id = await start("waiting");
  await post(`/v1/executions/${id}/cancel`);
  expect((await get(`/execution/waiting/${id}`)).json.state).toBe("FAILED");
  const paused = await get(`/execution/waiting/${id}/pause`);
  expect(paused.status).toBe(409);
});

test("errors are one text, with all that is needed to mend the request", async () => {
  const unknown = await post("/flow/execute", { name: "gret" });
  expect(unknown.status).toBe(404);
  expect(unknown.json.error).toContain("greet");
  const wrong = await post("/flow/event", { name: "waiting", event: 7 });
  expect(wrong.status).toBe(400);
  expect(wrong.json.error).toContain("/flowId: It is missing.");
  expect(wrong.json.error).toContain("/event: It must be a string, not a number.");
  const flow = { name: "waiting", flowId: "00000000-0000-7000-8000-000000000000", event: "go" };
  expect((await post("/event", flow)).status).toBe(404);
  const refused = await post("/workflow", { name: "bad" });
  expect(refused.status).toBe(422);
  expect(refused.json.error).toContain('"actions"');
});
