/** A whole server for the RPC tests, and what they ask of it besides: tasks, outcomes, its store. */
import { currentFormat } from "../../../src/model/format.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { call, saveWorkflow, startTestServer, type TestServer } from "../../support/orchy.ts";

export interface Edge {
  readonly server: TestServer;
  /** A test may make its methods fail. */
  readonly store: MemoryStore;
  /** In which records are written from now on. */
  setFormat(format: number): void;
  readonly url: string;
  readonly grpcUrl: string;
  /** Starts an execution of `orders` with one task; its parameters arrive as this text. */
  add(action: string, parameters: string, options?: AddOptions): Promise<string>;
  /** The only action of an execution of `orders`. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  actionOf(executionId: string): Promise<any>;
  /** The output of that action, to the letter. */
  outputOf(executionId: string): Promise<string>;
  stop(): Promise<void>;
}

interface AddOptions {
  readonly actionId?: number | string;
  readonly queue?: string;
}

export async function startEdge(options: { flags?: readonly string[] } = {}): Promise<Edge> {
  const store: MemoryStore & Pick<Store, "format"> = new MemoryStore({ partitions: 1 });
  let format: number = currentFormat;
  store.format = () => format;
  // Faults are asked for here, and what they log is not read.
  const flags = ["--log-level", "silent", ...(options.flags ?? [])];
  const server = await startTestServer({ store: "memory:", flags, parts: { store } });
  const { url } = server;
  let stopping: Promise<void> | undefined;
  return {
    server,
    store,
    setFormat(to) {
      format = to;
    },
    url,
    grpcUrl: `http://127.0.0.1:${server.grpcPort}`,
    async add(action, parameters, { actionId = 1, queue = "default" } = {}) {
      await saveWorkflow(server, {
        name: "orders",
        rootAction: actionId,
        actions: [{ id: actionId, type: "user", name: action, queue, parameters: "$.input" }],
      });
      const start = `{"workflow":"orders","correlationId":"order-1","input":${parameters}}`;
      const { status, body } = await call(server, "POST", "/v1/executions", start);
      if (status !== 202) throw new Error(JSON.stringify(body));
      return body.id;
    },
    async actionOf(executionId) {
      const { body } = await call(server, "GET", `/v1/executions/${executionId}`);
      return body.actions[0];
    },
    async outputOf(executionId) {
      const response = await fetch(`${url}/v1/executions/${executionId}/result`);
      const text = await response.text();
      const found = /"result":(.*)\}\n$/.exec(text)?.[1];
      if (found === undefined) throw new Error(text);
      return found;
    },
    stop() {
      stopping ??= server.remove();
      return stopping;
    },
  };
}
