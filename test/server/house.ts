/** An installation that is copied from store to store: what it holds, and how it goes on. */
import { expect } from "bun:test";
import { digestsOf } from "../../src/store/copy/digest.ts";
import { openStore } from "../../src/store/open.ts";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { done, poll, pollOne, single } from "./calls.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

/** The command as a process. */
export async function copy(
  [from, to, ...more]: readonly [from: string, to: string, ...string[]],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Record<string, string> },
) {
  const command = [process.execPath, main, "copy", "--from", from, "--to", to, ...more];
  const child = Bun.spawn(command, { cwd, env, stdout: "pipe", stderr: "pipe" });
  const [out, told, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), told: told.trim(), code };
}

export const open = async (url: string) => await openStore(url, { namespace: "orchy" });

/** What a server has left in every state; `finish` ends all that is open, at another one. */
export async function fill(server: TestServer) {
  const worker = createWorker(server);
  worker.action("quick", { concurrency: 20 }, (input) => ({ got: input }));
  await worker.start();
  const text = "x".repeat(400_000);
  const map = { type: "system", name: "map", items: "$.input.list", parameters: { n: "$.item" } };
  const large = {
    id: "large",
    type: "system",
    name: "transform",
    parameters: { text, of: "$.input" },
  };
  await saveWorkflow(server, {
    name: "items",
    rootAction: "all",
    actions: [{ ...map, id: "all", action: "quick" }],
  });
  await saveWorkflow(server, { name: "large", rootAction: "large", actions: [large] });
  const wait = { id: "w", type: "system", name: "wait", event: "go", next: { default: "then" } };
  const then = { id: "then", type: "user", name: "later", parameters: { of: "$.w.output" } };
  await saveWorkflow(server, { name: "waits", rootAction: "w", actions: [wait, then] });
  await saveWorkflow(server, single("leased", { heartbeatSeconds: 600 }));
  await saveWorkflow(server, single("later"));
  const list = Array.from({ length: 40 }, (_, n) => n);
  const ended = [
    await startExecution(server, "items", { list }),
    await startExecution(server, "large", text),
  ];
  for (const id of ended) await untilEnded(server, id);
  const gone = await call(
    server,
    "POST",
    "/v1/executions",
    { workflow: "large", input: 1 },
    { "idempotency-key": "k" },
  );
  await untilEnded(server, gone.body.id);
  await call(server, "DELETE", `/v1/executions/${gone.body.id}`);
  await worker.stop();
  const waiting = await startExecution(server, "waits");
  const paused = await startExecution(server, "later", { n: 1 });
  await call(server, "POST", `/v1/executions/${paused}/pause`, {});
  const queued = await startExecution(server, "later", { n: 2 });
  const leased = await startExecution(server, "leased");
  const task = await pollOne(server, "leased");
  const views = await Promise.all(ended.map((id) => call(server, "GET", `/v1/executions/${id}`)));
  return { ended, views, waiting, paused, queued, leased, task };
}

export async function finish(
  server: TestServer,
  was: Awaited<ReturnType<typeof fill>>,
): Promise<void> {
  const { waiting, paused, queued, leased } = was;
  for (const [i, id] of was.ended.entries()) {
    expect((await call(server, "GET", `/v1/executions/${id}`)).body).toEqual(was.views[i]!.body);
  }
  const headers = { "idempotency-key": "k" };
  const again = await call(
    server,
    "POST",
    "/v1/executions",
    { workflow: "large", input: 1 },
    headers,
  );
  expect(again.body).toMatchObject({ created: false, deleted: true });
  // The worker of before, with its token.
  await poll(server, { actions: [], workerId: "w", results: [done(was.task, 1)], waitSeconds: 0 });
  expect((await untilEnded(server, leased)).status).toBe("COMPLETED");
  await call(server, "POST", `/v1/executions/${waiting}/signal`, { event: "go", payload: 7 });
  await call(server, "POST", `/v1/executions/${paused}/resume`, {});
  const worker = createWorker(server);
  worker.action("later", {}, (input) => ({ got: input }));
  await worker.start();
  for (const id of [waiting, paused, queued]) {
    expect((await untilEnded(server, id)).status).toBe("COMPLETED");
  }
  await worker.stop();
}

export async function digests(url: string): Promise<ReadonlyMap<string, string>> {
  const store = await open(url);
  try {
    return await digestsOf(store, { endsAfter: 0, onPage: () => {} });
  } finally {
    await store.close();
  }
}
