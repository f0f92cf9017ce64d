/** Events of waits that templates name: what is refused, what fails, and which signals end them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
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

const waiting = (event: unknown, more: object = {}) => ({
  name: "waiting",
  rootAction: "w",
  actions: [{ id: "w", type: "system", name: "wait", event, ...more }],
});

test.each([
  [
    waiting("$.nobody.output"),
    "/actions/0/event",
    '"$.nobody.output" refers to the unknown action "nobody"; to write text that begins with $, write $$.',
  ],
  [
    waiting(["go", "for {$.input.a"]),
    "/actions/0/event/1",
    'The reference that begins with "{$.input.a" has no closing brace; a literal $ is written $$.',
  ],
  [
    waiting(["go", "timeout"]),
    "/actions/0/event/1",
    'The event name "timeout" is reserved for routes.',
  ],
  [
    waiting("{$.input.a}", { next: { timeout: [] } }),
    "/actions/0/next/timeout",
    'It is never taken: the wait has no "timeoutSeconds".',
  ],
  [
    waiting(["$$.paid"], { next: { "$.pad": [] } }),
    "/actions/0/next/$.pad",
    'The wait has no event "$.pad"; the nearest is "$.paid".',
  ],
])("refused: %j", async (definition, pointer, message) => {
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  expect([status, body.error.details]).toEqual([422, [{ pointer, message }]]);
});

const form =
  "An event must be text of 1 to 128 characters without control characters, well-formed, and not " +
  '"default" or "timeout"; it is';

test.each([
  ["$.input.a", { a: 7 }, "EVENT_INVALID", `${form} 7.`],
  ["$.input.a", {}, "EVENT_INVALID", `${form} null.`],
  [["go", "{$.input.a}"], { a: "timeout" }, "EVENT_INVALID", `${form} "timeout".`],
  ["{$.input.a}default", { a: "" }, "EVENT_INVALID", `${form} "default".`],
  ["$.input.a", { a: "x".repeat(129) }, "EVENT_INVALID", `${form} "${"x".repeat(98)}….`],
  ["$.input.a", { a: "a\nb" }, "EVENT_INVALID", `${form} "a\\nb".`],
  ["{$.input.a}{$.input.b}", {}, "EVENT_INVALID", `${form} "".`],
])("%j of %j fails", async (event, input, code, message) => {
  await saveWorkflow(server, waiting(event));
  const { error } = await untilEnded(server, await startExecution(server, "waiting", input));
  expect([error.code, error.message]).toEqual([code, message]);
});

test("strict: a reference without a value is not found", async () => {
  await saveWorkflow(server, waiting("paid-{$.input.a}", { strict: true }));
  const { error } = await untilEnded(server, await startExecution(server, "waiting", {}));
  expect(error.code).toBe("REFERENCE_NOT_FOUND");
});

async function signal(id: string, event: string): Promise<void> {
  const body = { event, payload: event };
  const { status } = await call(server, "POST", `/v1/executions/${id}/signal`, body);
  expect(status).toBe(200);
}

test("signals that come early are kept for what a template names later", async () => {
  await saveWorkflow(server, {
    name: "early",
    rootAction: "first",
    actions: [
      { id: "first", type: "system", name: "wait", event: "first", next: { default: "second" } },
      {
        id: "second",
        type: "system",
        name: "wait",
        event: ["never-{$.input.n}", "{$.first.output.payload}-{$.input.n}"],
        next: { "first-7": "end", default: [] },
      },
      { id: "end", type: "system", name: "transform", parameters: "$.second.output" },
    ],
  });
  const id = await startExecution(server, "early", { n: 7 });
  for (const event of ["first-8", "first-7", "{$.first.output.payload}-7", "first"]) {
    await signal(id, event);
  }
  const ended = await untilEnded(server, id);
  expect(ended.result).toEqual({ event: "first-7", payload: "first-7" });
});

test("whatever text data holds, the wait ends by a signal of that name", async () => {
  await saveWorkflow(server, waiting(["$.input.name", "$.input.name"]));
  const name = fc.oneof(
    fc.string({ minLength: 1, maxLength: 128, unit: "binary" }),
    fc.constantFrom("$.input.name", "{$.input.name}", "$$.a", "__proto__", " "),
  );
  await fc.assert(
    fc.asyncProperty(name, async (event) => {
      fc.pre(event.length <= 128 && !/\p{Cc}/u.test(event));
      const id = await startExecution(server, "waiting", { name: event });
      await signal(id, event);
      expect((await untilEnded(server, id)).result).toEqual({ event, payload: event });
    }),
    { numRuns: 40 },
  );
});
