/** Definitions that servers of format 3 and before saved keep their meaning where it has changed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

const store = new MemoryStore({ partitions: 2 });
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ parts: { store } });
});
afterAll(() => server.remove());

const definitionOf = (name: string, action: object) => ({
  name,
  rootAction: "a",
  actions: [{ id: "a", type: "system", ...action }],
});

/** As an earlier server has written it. */
async function plant(name: string, action: object): Promise<void> {
  const version = { version: 1, hash: "h", savedAt: 1 };
  const body = JSON.stringify(definitionOf(name, action));
  const head = JSON.stringify({ versions: [version] });
  for (const document of [
    { kind: "workflow-version", id: `${name}/1/h`, body },
    { kind: "workflow", id: name, body: head },
  ]) {
    await store.putDocument({ ...document, expectedVersion: 0 });
  }
}

async function ended(workflow: string, input: unknown = {}) {
  const { status, data, error } = await untilEnded(
    server,
    await startExecution(server, workflow, input),
  );
  return { status, output: data.a?.output, code: error?.code };
}

test.each([
  ["literal", { name: "delay", until: "2031-01-31T12:00:00" }, {}],
  ["data", { name: "delay", until: "$.input.at" }, { at: "2031-01-31T12:00" }],
  ["other", { name: "delay", until: "$.input.at" }, { at: "Fri, 31 Jan 2031 12:00:00 GMT" }],
])("local times are in UTC: %s", async (name, action, input) => {
  await plant(name, action);
  const id = await startExecution(server, name, input);
  const { body } = await call(server, "GET", `/v1/executions/${id}`);
  await call(server, "POST", `/v1/executions/${id}/cancel`);
  expect(new Date(body.actions[0].dueAt).toISOString()).toBe("2031-01-31T12:00:00.000Z");
});

test.each([
  ["a delay", { name: "delay", delaySeconds: "$.input.at" }, 1e12, -1],
  ["a wait", { name: "wait", event: "e", timeoutSeconds: "$.input.at" }, 1e12, -1],
  ["a moment", { name: "delay", until: "$.input.at" }, "9999-01-01T00:00:00Z", "0001-01-01"],
])("times beyond the bounds are moved to them: %s", async (what, action, far, past) => {
  const name = what.replace(" ", "-");
  await plant(name, action);
  const id = await startExecution(server, name, { at: far });
  const { body } = await call(server, "GET", `/v1/executions/${id}`);
  await call(server, "POST", `/v1/executions/${id}/cancel`);
  const [{ startedAt, dueAt }] = body.actions;
  expect(Date.parse(dueAt) - Date.parse(startedAt)).toBe(3_660 * 24 * 3600 * 1000);
  expect((await ended(name, { at: past })).status).toBe("COMPLETED");
});

test("the event of a wait is no template", async () => {
  const wait = { name: "wait", event: "{$.input.at}" };
  const signal = { event: "{$.input.at}", payload: 1 };
  for (const name of ["event", "new-event"]) {
    if (name === "event") await plant(name, wait);
    else await saveWorkflow(server, definitionOf(name, { ...wait, event: "{$$.input.at}" }));
    const id = await startExecution(server, name);
    await call(server, "POST", `/v1/executions/${id}/signal`, signal);
    expect((await untilEnded(server, id)).result).toEqual(signal);
  }
});

test("whatever a script throws is a SCRIPT_ERROR", async () => {
  const expression = "throw { code: 'SOLD_OUT', message: 'gone' }";
  const action = { name: "javascript", expression, onError: { SCRIPT_ERROR: [] } };
  await plant("thrown", action);
  const output = { error: { code: "SCRIPT_ERROR", message: "gone" } };
  expect(await ended("thrown")).toMatchObject({ status: "COMPLETED", output });
  await saveWorkflow(server, definitionOf("new-thrown", action));
  expect(await ended("new-thrown")).toMatchObject({ status: "FAILED", code: "SOLD_OUT" });
});

test("strict has no effect on a switch", async () => {
  const action = { name: "switch", expression: "$.input.a", strict: true, next: { default: [] } };
  await plant("strict", action);
  expect(await ended("strict")).toMatchObject({ output: { route: "default" } });
  await saveWorkflow(server, definitionOf("new-strict", action));
  expect(await ended("new-strict")).toMatchObject({ code: "REFERENCE_NOT_FOUND" });
});
