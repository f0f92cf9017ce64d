/** What a script sets on `$` is its output, whatever has run before it, and so is its route. */
import { expect, test } from "bun:test";
import { call, startExecution, startTestServer, untilEnded } from "../support/orchy.ts";

const system = (id: string, name: string, more: object) => ({ id, type: "system", name, ...more });

test("names of actions that have run are kept and warned of; default is always a route", async () => {
  const server = await startTestServer();
  try {
    const expression = `$.total.output.n = 5; $.log.output = 6;
      $.total = $.total.output.n; $.list = [$.log.output]; $.route = "default"`;
    const actions = [
      system("total", "transform", { parameters: { n: 1 }, next: { default: "log" } }),
      system("log", "transform", { parameters: { n: 2 }, next: { default: "script" } }),
      system("script", "javascript", { expression, next: { other: "other" } }),
      system("other", "transform", {}),
    ];
    const definition = { name: "names", rootAction: "total", actions, output: "$.script.output" };
    const saved = await call(server, "POST", "/v1/workflows", definition);
    expect(saved).toMatchObject({
      status: 201,
      body: { warnings: [{ pointer: "/actions/2/expression" }] },
    });
    const ended = await untilEnded(server, await startExecution(server, "names"));
    expect(ended).toMatchObject({ status: "COMPLETED", result: { total: 5, list: [6] } });
    const data = { total: { output: { n: 1 } }, log: { output: { n: 2 } } };
    expect(ended.data).toMatchObject(data);
    const statuses = ended.actions.map(({ status }: { status: string }) => status);
    expect(statuses).toEqual(["COMPLETED", "COMPLETED", "COMPLETED", "SKIPPED"]);
  } finally {
    await server.remove();
  }
});
