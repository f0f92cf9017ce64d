/** Numbers that callers send are shown and passed on with every digit, on every way in and out. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestServer, type TestServer } from "../support/orchy.ts";

/** As doubles they would be …860, …992, 0.1 and 0. */
const numbers = "[356686000032329832,-9007199254740993,0.1000000000000000055,1.5e-400]";
const payload = `{"n":{"deep":${numbers}},"s":"356686000032329832"}`;

const user = (name: string, more: string) =>
  `{"name":"${name}","rootAction":"a","actions":[{"id":"a","type":"user","name":"${name}",
    "parameters":"$.input","retry":{"retryCount":0}}],${more}}`;
const system = (name: string, kind: string, more: string) =>
  `{"name":"${name}","rootAction":"a","actions":[{"id":"a","type":"system","name":"${kind}",${more}}]}`;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  for (const workflow of [
    user("user", '"output":{"whole":"$.a.output","part":"is {$.input.n.deep[2]}"}'),
    user("failing", '"onFailure":{"workflow":"given"}'),
    system("given", "transform", '"parameters":"$.input"'),
    system("wait", "wait", '"event":"e"'),
  ]) {
    await post("/v1/workflows", workflow);
  }
});
afterAll(() => server.remove());

/** Answers are compared as text, which JSON.parse would round. */
async function get(path: string): Promise<string> {
  return (await fetch(server.url + path)).text();
}

async function post(path: string, body: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(server.url + path, { method: "POST", headers, body });
  const text = await answer.text();
  if (answer.status >= 300) throw new Error(text);
  return text;
}

const execution = (id: string) => get(`/v1/executions/${id}`);

async function start(workflow: string, more = `"input":${payload}`): Promise<string> {
  return JSON.parse(await post("/v1/executions", `{"workflow":"${workflow}",${more}}`)).id;
}

async function untilEnded(id: string): Promise<string> {
  const result = await get(`/v1/executions/${id}/result?wait=20`);
  expect(result).not.toContain('"RUNNING"');
  return result;
}

const worker = (method: string, body: string) => post(`/orchy.v1.WorkerService/${method}`, body);

/** The answer to a poll that gets one task. */
function polled(action: string, more = ""): Promise<string> {
  return worker("Poll", `{"actions":["${action}"],"waitSeconds":10${more}}`);
}

async function settle(method: "Complete" | "Poll", action: string, said: string): Promise<void> {
  const { token } = JSON.parse(await polled(action)).tasks[0];
  const settled = `{"results":[{"token":"${token}",${said}}],"actions":["nothing"]}`;
  const request = method === "Poll" ? settled : settled.replace(',"actions":["nothing"]', "");
  expect(await worker(method, request)).toContain("RESULT_STATUS_ACCEPTED");
}

type Legacy = "TaskService" | "ActionService";

/** The answer to a poll of the legacy wire that gets one task. */
function legacyPolled(service: Legacy, action: string): Promise<string> {
  const type = service === "TaskService" ? "taskType" : "actionType";
  return post(`/${service}/Poll`, `{"${type}":"${action}","batchSize":1}`);
}

async function push(service: Legacy, action: string, status: string): Promise<void> {
  const { tasks, actions } = JSON.parse(await legacyPolled(service, action));
  const { workflowName, flowId, actionId, retryCount } = (tasks ?? actions)[0];
  const of = JSON.stringify({ workflowName, flowId, actionId, retryCount, status });
  expect(await post(`/${service}/Push`, `${of.slice(0, -1)},"data":${payload}}`)).toContain("true");
}

const outputBytes = `"outputJson":"${Buffer.from(payload).toString("base64")}"`;

const waysIn: Readonly<Record<string, () => Promise<string>>> = {
  "the input of a start": () => start("given"),
  "the input of a legacy start": async () =>
    JSON.parse(await post("/flow/execute", `{"name":"given","input":${payload}}`)).flowId,
  "the first signal of a start": () => start("wait", `"signal":{"event":"e","payload":${payload}}`),
  "a signal": async () => {
    const id = await start("wait", '"input":{}');
    await post(`/v1/executions/${id}/signal`, `{"event":"e","payload":${payload}}`);
    return id;
  },
  "a legacy event": async () => {
    const id = await start("wait", '"input":{}');
    const flow = `{"name":"wait","flowId":"${id}","event":"e","payload":${payload}}`;
    await post("/flow/event", flow);
    return id;
  },
  "an output": () => settled("Complete", `"output":${payload}`),
  "an output with a poll": () => settled("Poll", `"output":${payload}`),
  "an output as bytes": () => settled("Complete", outputBytes),
  "a task's data": () => pushed("TaskService", "SUCCESS"),
  "an action's data": () => pushed("ActionService", "SUCCESS"),
};

async function settled(method: "Complete" | "Poll", said: string): Promise<string> {
  const id = await start("user", '"input":{}');
  await settle(method, "user", said);
  return id;
}

async function pushed(service: Legacy, status: string): Promise<string> {
  const id = await start("user", '"input":{}');
  await push(service, "user", status);
  return id;
}

test.each(Object.entries(waysIn))("in: %s", async (_name, send) => {
  const id = await send();
  const result = await untilEnded(id);
  expect([result, await execution(id)]).toEqual([
    expect.stringContaining(numbers),
    expect.stringContaining(numbers),
  ]);
});

test("in: a heartbeat's progress", async () => {
  const id = await start("user", '"input":{}');
  const { token } = JSON.parse(await polled("user")).tasks[0];
  await worker("Heartbeat", `{"tasks":[{"token":"${token}","progress":${payload}}]}`);
  expect(await execution(id)).toContain(`"progress":${payload}`);
  await worker("Complete", `{"results":[{"token":"${token}","output":null}]}`);
});

test("out: parameters, and what is made of data", async () => {
  const id = await start("user");
  const answers = [await polled("user")];
  const release = () => {
    const { token } = JSON.parse(answers.at(-1)!).tasks[0];
    return worker("Release", `{"tokens":["${token}"]}`);
  };
  await release();
  const bytes = await polled("user", ',"payloadFormat":"PAYLOAD_FORMAT_JSON"');
  const { token, parametersJson } = JSON.parse(bytes).tasks[0];
  answers.push(Buffer.from(parametersJson, "base64").toString());
  await worker("Complete", `{"results":[{"token":"${token}","output":${payload}}]}`);
  const result = await untilEnded(id);
  expect(result).toContain('"part":"is 0.1000000000000000055"');
  answers.push(result, await execution(id), await get(`/execution/user/${id}`));
  for (const service of ["TaskService", "ActionService"] as const) {
    await start("user");
    answers.push(await legacyPolled(service, "user"));
  }
  await start("user", '"input":{"over":-1.5E400}');
  const over = await polled("user");
  expect(over).toContain('"over":-1.5E400');
  await worker("Release", `{"tokens":["${JSON.parse(over).tasks[0].token}"]}`);
  answers.push(await post("/v1/executions?wait=20", `{"workflow":"given","input":${payload}}`));
  for (const answer of answers) expect(answer).toContain(numbers);
});

const failure = `"failure":{"code":"C","message":"m","details":${payload}}`;

test.each<[name: string, fail: () => Promise<void>]>([
  ["a failure", () => settle("Complete", "failing", failure)],
  ["a failure with a poll", () => settle("Poll", "failing", failure)],
  ["a task's failure", () => push("TaskService", "failing", "FAIL")],
  ["an action's failure", () => push("ActionService", "failing", "FAIL")],
])("in and out: details of %s", async (name, fail) => {
  const id = await start("failing", `"input":{},"correlationId":"${name}"`);
  await fail();
  expect(await untilEnded(id)).toContain(`"details":${payload}`);
  const views = ["", "/history", "/events"];
  const shown = () => Promise.all(views.map((view) => execution(id + view)));
  const before = await shown();
  server = await server.restart();
  expect(await shown()).toEqual(before);
  // Of the execution, the action and its attempt; of what happened to the last two.
  const counts = before.map((answer) => answer.split(`"details":${payload}`).length - 1);
  expect(counts).toEqual([3, 2, 2]);
  const { items } = JSON.parse(await get(`/v1/executions?workflow=given&correlationId=${name}`));
  expect(await untilEnded(items[0].id)).toContain(`"details":${payload}`);
});
