/** What a worker without an SDK does: the worker service as plain JSON, as with curl. */
import { call, type TestServer } from "../support/orchy.ts";

export interface Task {
  readonly token: string;
  readonly executionId: string;
  readonly actionId: string;
  readonly action: string;
  readonly attempt: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the test asserts
  readonly parameters: any;
  readonly heartbeatMs?: string;
}

interface PollRequest {
  readonly actions: readonly string[];
  readonly maxTasks?: number;
  readonly waitSeconds?: number;
  readonly results?: readonly object[];
  readonly workerId?: string;
  readonly heartbeats?: boolean;
}

type Reachable = Pick<TestServer, "url">;

export async function service(server: Reachable, method: string, body: object) {
  const answer = await call(server, "POST", `/orchy.v1.WorkerService/${method}`, body);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body;
}

export async function poll(server: Reachable, request: PollRequest): Promise<Task[]> {
  return (await service(server, "Poll", { waitSeconds: 60, ...request })).tasks ?? [];
}

/** The one task that there is. */
export async function pollOne(server: Reachable, action: string, more: object = {}): Promise<Task> {
  const [task] = await poll(server, { actions: [action], ...more });
  if (task === undefined) throw new Error(`no task of ${action} came`);
  return task;
}

/** Resolves when a poll for it has come to this server. */
export async function untilPolled(server: Reachable, action: string): Promise<void> {
  for (;;) {
    const { body } = await call(server, "GET", "/v1/workers");
    if (body.items.some(({ actions }: { actions: string[] }) => actions.includes(action))) return;
    await Bun.sleep(5);
  }
}

/** Settles results; answers what became of each, without the prefix of the enum. */
export async function complete(server: Reachable, ...results: object[]): Promise<string[]> {
  const { results: answers } = await service(server, "Complete", { results });
  return answers.map(({ status }: { status: string }) => status.replace("RESULT_STATUS_", ""));
}

export async function heartbeat(server: Reachable, ...tokens: string[]): Promise<string[]> {
  const tasks = tokens.map((token) => ({ token }));
  const { statuses } = await service(server, "Heartbeat", { tasks });
  return statuses.map((status: string) => status.replace("HEARTBEAT_STATUS_", ""));
}

export async function release(server: Reachable, ...tokens: string[]): Promise<string[]> {
  const { statuses } = await service(server, "Release", { tokens });
  return statuses.map((status: string) => status.replace("RELEASE_STATUS_", ""));
}

export const done = (task: { token: string }, output: unknown = null) => ({
  token: task.token,
  output,
});

export const failed = (task: { token: string }, code: string, retryable = true) => ({
  token: task.token,
  failure: { code, message: code, retryable },
});

/** A workflow of one user action named as the workflow, under the id `a`. */
export const single = (name: string, rules: object = {}) => ({
  name,
  rootAction: "a",
  actions: [{ id: "a", type: "user", name, ...rules }],
});

/** The action with this id, as `GET /v1/executions/{id}` shows it. */
export async function actionOf(server: Reachable, executionId: string, id: string) {
  const { body } = await call(server, "GET", `/v1/executions/${executionId}`);
  return body.actions.find((action: { id: string }) => action.id === id);
}
