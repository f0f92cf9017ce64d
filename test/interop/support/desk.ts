/** What a test does to a server over REST, beside the worker that is tested. */
import { call, type Reachable } from "../../support/orchy.ts";

export type { Reachable };

/** Saves a workflow of one user action, both of the given name; its input is what the task gets. */
export async function saveSingle(server: Reachable, name: string, rules: object = {}) {
  const action = { id: "a", type: "user", name, parameters: "$.input", ...rules };
  const definition = { name, rootAction: "a", actions: [action] };
  const { status, body } = await call(server, "POST", "/v1/workflows", definition);
  if (status >= 300) throw new Error(JSON.stringify(body));
}

export async function start(
  server: Reachable,
  workflow: string,
  input: object = {},
): Promise<string> {
  const { status, body } = await call(server, "POST", "/v1/executions", { workflow, input });
  if (status >= 300) throw new Error(JSON.stringify(body));
  return body.id;
}

/** The execution, once it has ended. */
export async function ended(server: Reachable, id: string) {
  const { body } = await call(server, "GET", `/v1/executions/${id}/result?wait=30`);
  if (body.status === "RUNNING") throw new Error(`${id} goes on`);
  return (await call(server, "GET", `/v1/executions/${id}`)).body;
}

/** Repeats the call until the answer fits: for what no event reports, such as a parked poll. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  const untilMs = performance.now() + 90_000;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (performance.now() > untilMs) throw new Error(`still ${JSON.stringify(answer)}`);
    await Bun.sleep(20);
  }
}
