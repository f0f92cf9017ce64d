/** Talks to a server through the client that is made of /openapi.json: bun client.ts URL */
import createClient from "openapi-fetch";
import type { components, operations, paths } from "./api.ts";

const client = createClient<paths>({ baseUrl: process.argv[2]! });

/** The names of operations are part of what is promised. */
type Start = operations["startExecution"]["requestBody"]["content"]["application/json"];

const name = "typescript-client";
const saved = await client.POST("/v1/workflows", {
  body: { name, rootAction: "a", actions: [{ id: "a", type: "user", name }] },
});
if (saved.response.status !== 201) throw new Error(JSON.stringify(saved.error));

const body: Start = { workflow: name, input: { order: 7 }, correlationId: "c-1" };
const started = await client.POST("/v1/executions", {
  params: { header: { "idempotency-key": name } },
  body,
});
const { id, created } = started.data!;
if (!created) throw new Error(`${id} was started before`);

const polled = await client.POST("/orchy.v1.WorkerService/Poll", {
  body: { actions: [name], maxTasks: 5, waitSeconds: 20, workerId: name },
});
const task: components["schemas"]["WorkerTask"] = polled.data!.tasks![0]!;
const completed = await client.POST("/orchy.v1.WorkerService/Complete", {
  body: { results: [{ token: task.token!, output: { attempt: task.attempt } }] },
});
const status = completed.data!.results![0]!.status;

const path = { id };
const read = await client.GET("/v1/executions/{id}/result", {
  params: { path, query: { wait: 20 } },
});
const query = { workflow: name, status: "COMPLETED" } as const;
const list = await client.GET("/v1/executions", { params: { query } });
const absent = await client.GET("/v1/executions/{id}", { params: { path: { id: "absent" } } });

const said = {
  accepted: status,
  result: read.data!.result,
  listed: list.data!.items.map((one) => one.id === id),
  refused: absent.error!.error.code,
};
console.log(JSON.stringify(said));
