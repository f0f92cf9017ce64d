/** Executions of any size in one small answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.remove());

const json = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
const copies = (count: number) => ({
  name: `copies-${count}`,
  rootAction: 1,
  output: { first: "$.1.output" },
  actions: Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    type: "system",
    name: "transform",
    parameters: "$.input",
    ...(index + 1 < count && { next: { default: index + 2 } }),
  })),
});

async function read(id: string, payloads: string) {
  const { status, body } = await call(server, "GET", `/v1/executions/${id}?payloads=${payloads}`);
  expect(status).toBe(200);
  return body;
}

async function run(count: number, input: unknown): Promise<string> {
  await saveWorkflow(server, copies(count));
  const id = await startExecution(server, `copies-${count}`, input);
  await call(server, "GET", `/v1/executions/${id}/result?wait=60`);
  return id;
}

test("small payloads are shown, and the sizes of large ones in their place", async () => {
  const small = { text: "€".repeat(100) };
  const shown = await read(await run(2, small), "small");
  expect(shown).toMatchObject({
    status: "COMPLETED",
    input: small,
    result: { first: small },
    actions: [
      { id: 1, output: small },
      { id: 2, output: small },
    ],
  });
  expect(shown).not.toHaveProperty("data");
  expect(shown).not.toHaveProperty("incomplete");

  const large = { text: "€".repeat(30_000) };
  const measured = await read(await run(2, large), "small");
  expect(measured).toMatchObject({
    inputBytes: json(large),
    resultBytes: json({ first: large }),
    actions: [{ outputBytes: json(large) }, { outputBytes: json(large) }],
  });
  expect(JSON.stringify(measured)).not.toContain("€€");
});

test("the whole answer stays small, however many payloads there are", async () => {
  const input = { text: "x".repeat(60_000) };
  const id = await run(40, input);
  const { actions, ...rest } = await read(id, "small");
  expect(rest.input).toEqual(input);
  const shown = actions.filter((action: object) => Object.hasOwn(action, "output"));
  const measured = actions.filter((action: object) => Object.hasOwn(action, "outputBytes"));
  expect([shown.length, measured.length]).toEqual([16, 24]);
  expect(measured[0].outputBytes).toBe(json(input));
});

test("without payloads none is there, and neither is their size", async () => {
  const { actions, ...rest } = await read(await run(2, { secret: "x" }), "none");
  for (const name of ["input", "inputBytes", "result", "data"])
    expect(rest).not.toHaveProperty(name);
  expect(rest).toMatchObject({ status: "COMPLETED", workflow: "copies-2" });
  expect(actions).toMatchObject([{ id: 1, status: "COMPLETED", attempts: [] }, { id: 2 }]);
  for (const action of actions) expect(action).not.toHaveProperty("output");
});

test("what is too much to read is not measured", async () => {
  const id = await run(20, { text: "x".repeat(1_000_000) });
  const { incomplete, actions } = await read(id, "small");
  expect(incomplete).toBe(true);
  const measured = actions.filter((action: object) => Object.hasOwn(action, "outputBytes"));
  expect(measured.length).toBeGreaterThan(10);
  expect(measured.length).toBeLessThan(20);
});

test("another choice is refused", async () => {
  const id = await run(2, {});
  const { status, body } = await call(server, "GET", `/v1/executions/${id}?payloads=some`);
  expect([status, body.error.details[0].pointer]).toEqual([400, "?payloads"]);
});
