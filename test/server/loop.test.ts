/** loop over REST: what a script as its condition says. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
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

async function looped(condition: string, input: object = {}) {
  const child = [{ id: "c", type: "system", name: "transform", parameters: { n: 1 } }];
  await saveWorkflow(server, {
    name: "looping",
    rootAction: "l",
    actions: [
      {
        id: "l",
        type: "system",
        name: "loop",
        while: condition,
        maxIterations: 3,
        definition: { rootAction: "c", actions: child },
      },
    ],
  });
  return untilEnded(server, await startExecution(server, "looping", input));
}

test.each([
  ["$.iteration < 2", 2],
  ["$.x = 1; $.iteration < 2", 2],
  ["$.more = $.iteration < 2", 2],
  ["if ($.iteration < 1) { $.x = 1; 'on' }", 1],
  ["$.iteration < 1 ? {} : null", 1],
  ["$.iteration < 1 ? $ : 0", 1],
  ["$.x = 1; undefined", 0],
  ["let x = $.input.list; x[0] = 0; x.length > 1 && $.iteration < 1", 1],
])("the value of the last statement decides: %s", async (condition, iterations) => {
  const { status, result } = await looped(condition, { list: [1, 2] });
  expect(status).toBe("COMPLETED");
  expect(result).toEqual({ iterations, last: iterations === 0 ? null : { n: 1 } });
});

test.each([
  ["(async () => $.iteration < 2)()", "a promise"],
  ["() => $.iteration < 2", "a function"],
  ["BigInt($.iteration)", "a BigInt"],
])("a value that says nothing fails it: %s", async (condition, what) => {
  const { error } = await looped(condition);
  const message = `The value of the condition is ${what}.`;
  expect(error).toMatchObject({ code: "SCRIPT_ERROR", message });
});
