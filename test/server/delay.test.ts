/** delay over REST: which times are refused, in definitions and in data. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

const delaying = (fields: object) => ({
  name: "delaying",
  rootAction: "d",
  actions: [{ id: "d", type: "system", name: "delay", ...fields }],
});

const noOffset =
  'It has no offset. Add one, such as Z, or name a time zone beside it, such as "timeZone": "Europe/Berlin".';
const noTime = (shown: string) =>
  `It must be an ISO 8601 time such as "2030-01-31T12:00:00Z", or a template for one, not ${shown}.`;
const tooFar = "It must be a time at most 3,660 days from now.";
const noZone = (shown: string) =>
  `It must be a time zone such as "Europe/Berlin", or a template for one, not ${shown}.`;

test.each([
  [{ until: "2030-01-31T12:00:00" }, "/actions/0/until", noOffset],
  [{ until: "2030-01-31" }, "/actions/0/until", noOffset],
  [{ until: "2030-02-30T12:00:00Z" }, "/actions/0/until", noTime('"2030-02-30T12:00:00Z"')],
  [{ until: 1893456000 }, "/actions/0/until", noTime("1893456000")],
  [{ until: "tomorrow" }, "/actions/0/until", noTime('"tomorrow"')],
  [
    { until: "2030-01-31", timeZone: "Europe/Berln" },
    "/actions/0/timeZone",
    noZone('"Europe/Berln"; the nearest is "Europe/Berlin"'),
  ],
  [{ until: "2030-01-31", timeZone: "+01:00" }, "/actions/0/timeZone", noZone('"+01:00"')],
  [{ until: "9999-01-01T00:00:00Z" }, "/actions/0/until", tooFar],
  [{ until: "9999-01-01", timeZone: "Asia/Tokyo" }, "/actions/0/until", tooFar],
  [
    { delaySeconds: 1, timeZone: "Asia/Tokyo" },
    "/actions/0/timeZone",
    'It has no effect without "until".',
  ],
])("refused: %j", async (fields, pointer, message) => {
  for (const path of ["/v1/workflows", "/workflow"]) {
    const { status, body } = await call(server, "POST", path, delaying(fields));
    expect(status).toBe(422);
    if (path !== "/workflow") expect(body.error.details).toEqual([{ pointer, message }]);
  }
});

test("a time zone beside an offset is saved with a warning", async () => {
  const fields = { until: "2030-01-31T00:00Z", timeZone: "Asia/Tokyo" };
  const { body } = await call(server, "POST", "/v1/workflows/validate", delaying(fields));
  const message = 'It has no effect: "until" has an offset.';
  expect(body.warnings).toEqual([{ pointer: "/actions/0/timeZone", message }]);
});

/** Until when it waits, or why it fails. */
async function waitsUntil(workflow: string, input: unknown): Promise<string> {
  const id = await startExecution(server, workflow, input);
  const { body } = await call(server, "GET", `/v1/executions/${id}`);
  if (body.status === "FAILED") return `${body.error.code}: ${body.error.message}`;
  if (body.status === "COMPLETED") return "over";
  await call(server, "POST", `/v1/executions/${id}/cancel`);
  return new Date(body.actions[0].dueAt).toISOString();
}

test.each([
  [{ at: "2031-01-31T12:00:00+02:00" }, "2031-01-31T10:00:00.000Z"],
  [{ at: "2031-01-31T12:00", zone: "Asia/Tokyo" }, "2031-01-31T03:00:00.000Z"],
  [{ at: "2031-03-30T02:30", zone: "Europe/Berlin" }, "2031-03-30T01:30:00.000Z"],
  [{ at: "2020-01-01T00:00:00Z" }, "over"],
  [
    { at: "2031-02-30T12:00:00Z" },
    'INVALID_VALUE: until must be an ISO 8601 time, not "2031-02-30T12:00:00Z".',
  ],
  [{ at: 1893456000 }, "INVALID_VALUE: until must be an ISO 8601 time, not 1893456000."],
  [{}, "INVALID_VALUE: until must be an ISO 8601 time, not null."],
  [
    { at: "9999-01-01T00:00:00Z" },
    'INVALID_VALUE: until must be a time at most 3,660 days from now, not "9999-01-01T00:00:00Z".',
  ],
  [
    { at: "2031-01-31T12:00" },
    'INVALID_VALUE: timeZone must be a time zone such as "Europe/Berlin", not null.',
  ],
  [
    { at: "2031-01-31T12:00", zone: "Nowhere" },
    'INVALID_VALUE: timeZone must be a time zone such as "Europe/Berlin", not "Nowhere".',
  ],
])("data %j is checked as literals are", async (input, expected) => {
  await saveWorkflow(server, delaying({ until: "$.input.at", timeZone: "$.input.zone" }));
  expect(await waitsUntil("delaying", input)).toBe(expected);
});

test("without a time zone, data needs an offset", async () => {
  await saveWorkflow(server, delaying({ until: "$.input.at" }));
  expect(await waitsUntil("delaying", { at: "2031-01-31T12:00" })).toBe(
    'INVALID_VALUE: until must be a time with an offset, as there is no timeZone, not "2031-01-31T12:00".',
  );
});

const transform = { rootAction: "c", actions: [{ id: "c", type: "system", name: "transform" }] };
const loop = { name: "loop", while: "true", maxIterations: 2, definition: transform };

test.each([
  ["delaySeconds", {}],
  ["timeoutSeconds", { name: "wait", event: "e" }],
  ["delaySeconds", loop],
])("%s of %j is as far away in data as in a definition", async (field, rest) => {
  for (const seconds of [-1, 1e12, "-1", "1e12"]) {
    const literal = delaying({ ...rest, [field]: seconds });
    expect((await call(server, "POST", "/v1/workflows", literal)).status).toBe(422);
    await saveWorkflow(server, delaying({ ...rest, [field]: "$.input.s" }));
    const { body } = await call(server, "POST", "/v1/executions", {
      workflow: "delaying",
      input: { s: seconds },
    });
    const { error } = await untilEnded(server, body.id);
    const range = "a number of seconds from 0 to 316224000";
    const message = `${field} must be ${range}, not ${JSON.stringify(seconds)}.`;
    const shown = message.replace("1e12", seconds === 1e12 ? "1000000000000" : "1e12");
    expect(error).toMatchObject({ code: "INVALID_VALUE", message: shown });
  }
});
