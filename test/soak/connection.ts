/**
 * The one connection of the soak run: HTTP/2, with REST and the worker service side by side on it.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ResultStatus, WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";

export interface Task {
  readonly token: string;
}

export interface PollAnswer {
  readonly tasks: readonly Task[];
  /** Results that were not accepted. */
  readonly refused: number;
}

export interface WorkerLink {
  poll(actions: readonly string[], results: readonly Task[]): Promise<PollAnswer>;
  close(): void;
}

const tasksMax = 20;
const waitSeconds = 5;

export class Connection implements WorkerLink {
  readonly #session: ClientHttp2Session;
  /** Calls that returned. */
  calls = 0;

  /** `onEnd`: it has ended by itself, and with it what the run is about. */
  constructor(url: string, onEnd: (reason: string) => void) {
    let reason = "the server has closed it";
    this.#session = connect(url);
    this.#session.on("error", (error: Error) => {
      reason = error.message;
    });
    this.#session.on("close", () => onEnd(reason));
  }

  async json(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const { status, text } = await this.text(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`);
    return text === "" ? {} : JSON.parse(text);
  }

  text(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const type = body !== undefined && { "content-type": "application/json" };
      const stream = this.#session.request({ ":method": method, ":path": path, ...type });
      let status = 0;
      const chunks: Buffer[] = [];
      stream.on("response", (headers) => {
        status = Number(headers[":status"]);
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        this.calls += 1;
        resolve({ status, text: Buffer.concat(chunks).toString() });
      });
      stream.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async poll(actions: readonly string[], done: readonly Task[]): Promise<PollAnswer> {
    const results = done.map(({ token }) => ({ token, output: { ok: true } }));
    const body = { actions, maxTasks: tasksMax, waitSeconds, results };
    const answer = await this.json("POST", "/orchy.v1.WorkerService/Poll", body);
    const statuses = (answer.results ?? []) as readonly { readonly status: string }[];
    return {
      tasks: (answer.tasks ?? []) as readonly Task[],
      refused: statuses.filter(({ status }) => status !== "RESULT_STATUS_ACCEPTED").length,
    };
  }

  close(): void {
    this.#session.removeAllListeners("close");
    this.#session.destroy();
  }
}

/** Polls over gRPC, on one separate connection: that port serves nothing but workers. */
export class GrpcLink implements WorkerLink {
  readonly #sessions: Http2SessionManager;
  readonly #client;
  calls = 0;

  constructor(baseUrl: string) {
    this.#sessions = new Http2SessionManager(baseUrl);
    const transport = createGrpcTransport({ baseUrl, sessionManager: this.#sessions });
    this.#client = createClient(WorkerService, transport);
  }

  async poll(actions: readonly string[], done: readonly Task[]): Promise<PollAnswer> {
    const outputJson = new TextEncoder().encode('{"ok":true}');
    const results = done.map(({ token }) => ({ token, outputJson }));
    const answer = await this.#client.poll({
      actions: [...actions],
      maxTasks: tasksMax,
      waitSeconds,
      results,
    });
    this.calls += 1;
    const refused = answer.results.filter(({ status }) => status !== ResultStatus.ACCEPTED).length;
    return { tasks: answer.tasks, refused };
  }

  close(): void {
    this.#sessions.abort();
  }
}
