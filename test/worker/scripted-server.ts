/**
 * A small server that speaks the worker wire over real sockets: leases, parked polls, results
 * settled once. Tests script its behaviour through the hooks and wait for what it has seen.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  CompleteRequestSchema,
  CompleteResponseSchema,
  HeartbeatRequestSchema,
  HeartbeatResponseSchema,
  HeartbeatStatus,
  PollRequestSchema,
  PollResponseSchema,
  RegisterActionsRequestSchema,
  RegisterActionsResponseSchema,
  ReleaseRequestSchema,
  ReleaseResponseSchema,
  ReleaseStatus,
  type ResultAnswer,
  ResultStatus,
  type TaskResult,
  TaskSchema,
} from "../../src/gen/orchy/v1/worker_pb.ts";
import { freePort } from "../support/ports.ts";

export type PollRequest = MessageShape<typeof PollRequestSchema>;
export type TaskInit = MessageInitShape<typeof TaskSchema>;

export interface Call {
  readonly method: string;
  readonly bytes: number;
  readonly request: unknown;
  readonly connection: string;
}

export class ScriptedServer {
  readonly calls: Call[] = [];
  readonly registered: string[] = [];
  readonly settled = new Map<string, TaskResult>();
  readonly duplicates: string[] = [];
  readonly released: string[] = [];
  /** Times of heartbeats, by token. */
  readonly beats = new Map<string, number[]>();
  readonly cancelled = new Set<string>();
  draining = false;
  /** Overrides the answer for one result. */
  onResult: (result: TaskResult) => ResultStatus | undefined = () => undefined;
  /** Runs after a call took effect and before it returns. */
  beforeAnswer: (method: string) => Promise<void> | void = () => {};
  /** Runs before a call takes effect; a response given here is the answer. */
  beforeCall: (method: string) => Response | undefined = () => undefined;
  readonly port = freePort();
  private server: ReturnType<typeof Bun.serve> | undefined;
  private queued: { readonly task: TaskInit & { token: string; action: string } }[] = [];
  private watchers: { readonly when: () => boolean; readonly resolve: () => void }[] = [];
  private parked = new Set<() => void>();
  private taskCount = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  start(): this {
    this.server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.port,
      http2: true,
      idleTimeout: 0,
      maxRequestBodySize: 64 * 1024 * 1024,
      fetch: (request, server) => this.handle(request, server.requestIP(request)?.port ?? 0),
    } as Parameters<typeof Bun.serve>[0]);
    return this;
  }

  get parkedPolls(): number {
    return this.parked.size;
  }

  /** Cuts every connection; start() listens again on the same port. */
  async cut(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    await server?.stop(true);
    for (const wake of this.parked) wake();
  }

  add(action: string, parameters: unknown = {}, task: TaskInit = {}): string {
    const token = `token-${++this.taskCount}`;
    this.queued.push({
      task: {
        executionId: `execution-${this.taskCount}`,
        workflow: "tested",
        actionId: "1",
        attempt: 1,
        deadlineMs: BigInt(Date.now() + 60_000),
        heartbeatMs: 30_000n,
        parametersJson: new TextEncoder().encode(JSON.stringify(parameters)),
        ...task,
        token,
        action,
      },
    });
    for (const wake of this.parked) wake();
    return token;
  }

  /** Resolves as soon as `when` holds; looks after each change here. */
  until(when: () => boolean): Promise<void> {
    if (when()) return Promise.resolve();
    return new Promise((resolve) => this.watchers.push({ when, resolve }));
  }

  /** The JSON output, or the failure, that was settled for a token. */
  async outcome(token: string): Promise<unknown> {
    await this.until(() => this.settled.has(token));
    const result = this.settled.get(token)!;
    if (result.failure === undefined)
      return JSON.parse(new TextDecoder().decode(result.outputJson));
    const { code, message, retryable } = result.failure;
    return { code, message, ...(retryable === undefined ? {} : { retryable }) };
  }

  callsOf(method: string): Call[] {
    return this.calls.filter((call) => call.method === method);
  }

  changed(): void {
    this.watchers = this.watchers.filter(({ when, resolve }) => {
      if (!when()) return true;
      resolve();
      return false;
    });
  }

  private async handle(request: Request, port: number): Promise<Response> {
    const method = new URL(request.url).pathname.replace("/orchy.v1.WorkerService/", "");
    const override = this.beforeCall(method);
    if (override !== undefined) return override;
    const body = new Uint8Array(await request.arrayBuffer());
    const note = (message: unknown): void => {
      const connection = String(port);
      this.calls.push({ method, bytes: body.byteLength, request: message, connection });
      this.changed();
    };
    const response = await this.answer(method, body, note, request.signal);
    this.changed();
    await this.beforeAnswer(method);
    return new Response(response as Uint8Array<ArrayBuffer>, {
      headers: { "content-type": "application/proto" },
    });
  }

  private async answer(
    method: string,
    body: Uint8Array,
    note: (message: unknown) => void,
    gone: AbortSignal,
  ): Promise<Uint8Array> {
    const read = <Schema extends DescMessage>(schema: Schema): MessageShape<Schema> => {
      const message = fromBinary(schema, body);
      note(message);
      return message;
    };
    switch (method) {
      case "RegisterActions": {
        for (const { name } of read(RegisterActionsRequestSchema).actions)
          this.registered.push(name);
        return toBinary(RegisterActionsResponseSchema, create(RegisterActionsResponseSchema));
      }
      case "Poll":
        return toBinary(PollResponseSchema, await this.poll(read(PollRequestSchema), gone));
      case "Complete": {
        const results = read(CompleteRequestSchema).results.map((result) => this.settle(result));
        return toBinary(CompleteResponseSchema, create(CompleteResponseSchema, { results }));
      }
      case "Heartbeat": {
        const statuses = read(HeartbeatRequestSchema).tasks.map(({ token }) => {
          this.beats.set(token, [...(this.beats.get(token) ?? []), performance.now()]);
          if (this.cancelled.has(token)) return HeartbeatStatus.CANCELLED;
          return this.settled.has(token) ? HeartbeatStatus.STALE : HeartbeatStatus.EXTENDED;
        });
        return toBinary(HeartbeatResponseSchema, create(HeartbeatResponseSchema, { statuses }));
      }
      case "Release": {
        const { tokens } = read(ReleaseRequestSchema);
        this.released.push(...tokens);
        const statuses = tokens.map(() => ReleaseStatus.RELEASED);
        return toBinary(ReleaseResponseSchema, create(ReleaseResponseSchema, { statuses }));
      }
      default:
        throw new Error(`unknown method ${method}`);
    }
  }

  private async poll(request: PollRequest, gone: AbortSignal) {
    const results = request.results.map((result) => this.settle(result));
    const endsAt = performance.now() + request.waitSeconds * 1000;
    const refused = results.some(({ status }) => status !== ResultStatus.ACCEPTED);
    for (;;) {
      if (gone.aborted) return create(PollResponseSchema, { results });
      const mine = this.queued
        .filter(({ task }) => request.actions.includes(task.action))
        .slice(0, request.maxTasks);
      const leftMs = endsAt - performance.now();
      if (mine.length > 0 || refused || this.draining || leftMs <= 0 || this.server === undefined) {
        this.queued = this.queued.filter((queued) => !mine.includes(queued));
        const tasks = mine.map(({ task }) => create(TaskSchema, task));
        return create(PollResponseSchema, { tasks, results, draining: this.draining });
      }
      await this.park(leftMs, gone);
    }
  }

  private park(ms: number, gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.parked.delete(wake);
        gone.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      gone.addEventListener("abort", wake);
      this.parked.add(wake);
    });
  }

  private settle(
    result: TaskResult,
  ): Pick<ResultAnswer, "status" | "message"> & { $typeName: ResultAnswer["$typeName"] } {
    const $typeName = "orchy.v1.ResultAnswer" as const;
    const scripted = this.onResult(result);
    if (scripted !== undefined) return { $typeName, status: scripted, message: "scripted" };
    if (this.settled.has(result.token)) {
      this.duplicates.push(result.token);
      queueMicrotask(() => this.changed());
      return { $typeName, status: ResultStatus.DUPLICATE, message: "" };
    }
    this.settled.set(result.token, result);
    queueMicrotask(() => this.changed());
    return { $typeName, status: ResultStatus.ACCEPTED, message: "" };
  }
}
