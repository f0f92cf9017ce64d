/**
 * The way to the servers: one of them at a time, the next one when it fails or drains, with growing
 * pauses. Each new session begins with `onConnect` (registering actions), and gives typed calls.
 */
import {
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
} from "@bufbuild/protobuf";
import { pause, systemClock } from "../base/clock.ts";
import { otherScheme } from "../base/other-scheme.ts";
import { backoffMs } from "./backoff.ts";
import { encode } from "./encode.ts";
import { openHttp1 } from "./http1.ts";
import { openHttp2 } from "./http2.ts";
import {
  CallError,
  type Connection,
  type Credentials,
  finalCodes,
  type HttpAnswer,
  type TransportKind,
} from "./transport.ts";
import { workerTime } from "./worker-time.ts";

/** Where a worker writes its lines; console fits. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const quietLogger: Logger = { info() {}, warn() {}, error() {} };

interface CallOptions {
  readonly timeoutMs: number;
  readonly abort?: AbortSignal | undefined;
}

interface LinkOptions {
  readonly servers: readonly string[];
  readonly transport: TransportKind;
  readonly credentials: Credentials;
  readonly logger: Logger;
  /** Runs on each new session before anybody else may use it. */
  readonly onConnect?: (session: Session) => Promise<void>;
}

/** Date headers count whole seconds; less than this is not a difference between clocks. */
const clockOffsetMsMin = 2_000;

/** One connection to one server. */
export class Session {
  readonly server: URL;
  /** The server's clock minus ours, when they differ clearly. */
  clockOffsetMs = 0;
  private readonly connection: Connection;

  constructor(server: URL, kind: TransportKind, credentials: Credentials) {
    this.server = server;
    const open = kind === "http1" ? openHttp1 : openHttp2;
    this.connection = open(server, credentials);
  }

  async call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageShape<Input>,
    { timeoutMs, abort }: CallOptions,
  ): Promise<MessageShape<Output>> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const body = encode(method.input, request);
    const answer = await this.connection.post({ path, body, timeoutMs, abort });
    this.readClock(answer);
    if (answer.status !== 200) throw refusal(answer);
    return fromBinary(method.output, answer.body);
  }

  retire(): void {
    this.connection.retire();
  }

  destroy(): void {
    this.connection.destroy();
  }

  private readClock({ date }: HttpAnswer): void {
    const serverMs = date === undefined ? Number.NaN : Date.parse(date);
    if (Number.isNaN(serverMs)) return;
    const offsetMs = serverMs - workerTime.now();
    this.clockOffsetMs = Math.abs(offsetMs) < clockOffsetMsMin ? 0 : offsetMs;
  }
}

function refusal({ status, body }: HttpAnswer): CallError {
  const text = new TextDecoder().decode(body);
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    const hint = code === "unauthenticated" ? ` ${keyHint}` : "";
    if (typeof code === "string") return new CallError(code, `${message ?? code}${hint}`);
  } catch {
    // Not Connect's own JSON: a proxy, another program, or the gRPC port of an older server.
  }
  const detail = text === "" ? "" : `: ${text.slice(0, 200)}`;
  const message = `HTTP status ${status}${detail}`;
  const code = codeOfStatus.get(status);
  if (code === undefined) return new CallError("unavailable", message);
  const hint = code === "unimplemented" ? `${message}. ${portHint}` : message;
  return new CallError(code, hint);
}

const keyHint = "A worker takes its key from the option key, or from the variable ORCHY_KEY.";
const portHint = "A worker needs the HTTP port of an Orchy server, by default 8080.";

/** What trying again does not change. A proxy whose server is about to start also says 404. */
const codeOfStatus: ReadonlyMap<number, string> = new Map([
  [401, "unauthenticated"],
  [403, "permission_denied"],
  [405, "unimplemented"],
  [415, "unimplemented"],
  [501, "unimplemented"],
  [505, "unimplemented"],
]);

/** Calls to one of several servers, with a change of server after a fault. Throws CallError. */
export class Link {
  private readonly options: LinkOptions;
  private readonly servers: readonly URL[];
  private readonly closed = new AbortController();
  private current: Session | undefined;
  /** Not yet usable by others. */
  private opening: Session | undefined;
  private connecting: Promise<Session> | undefined;
  private serverIndex = 0;
  /** Since the last good answer. */
  private failures = 0;

  constructor(options: LinkOptions) {
    this.options = options;
    this.servers = parseServers(options.servers);
  }

  /** The current session, if any. */
  get session(): Session | undefined {
    return this.current;
  }

  /**
   * The session to use now; waits while no server answers. Throws only when the link was
   * closed, or when a server refuses what `onConnect` says permanently.
   */
  ready(): Promise<Session> {
    if (this.current !== undefined) return Promise.resolve(this.current);
    this.connecting ??= this.connect().finally(() => {
      this.connecting = undefined;
    });
    return this.connecting;
  }

  succeeded(session: Session): void {
    if (session === this.current) this.failures = 0;
  }

  /** Reports a failed call, so that the next one goes another way if that can help. */
  failed(session: Session, error: unknown): void {
    if (session !== this.current || this.closed.signal.aborted) return;
    const code = error instanceof CallError ? error.code : "internal";
    if (code === "canceled" || finalCodes.has(code)) return;
    this.failures += 1;
    this.leave(`${session.server.host}: ${(error as Error).message}`);
    if (error instanceof CallError && error.broken) session.destroy();
    else session.retire();
  }

  /** The server is shutting down. */
  draining(session: Session): void {
    if (session !== this.current) return;
    if (this.servers.length === 1) this.failures += 1;
    this.leave(`${session.server.host} is shutting down`);
    session.retire();
  }

  close(): void {
    this.closed.abort();
    this.current?.destroy();
    this.opening?.destroy();
    this.current = undefined;
  }

  private leave(reason: string): void {
    this.current = undefined;
    this.serverIndex += 1;
    // One line for a row of failures: the first is logged here, the end of the row by connect().
    if (this.failures <= 1) this.options.logger.warn(`${reason}; connecting again`);
  }

  private async connect(): Promise<Session> {
    const { transport, credentials, logger, onConnect } = this.options;
    for (;;) {
      if (this.failures > 0) await pause(backoffMs(this.failures), systemClock, this.closed.signal);
      if (this.closed.signal.aborted) throw new CallError("canceled", "the worker has stopped");
      const server = this.servers[this.serverIndex % this.servers.length]!;
      const session = new Session(server, transport, credentials);
      this.opening = session;
      try {
        await onConnect?.(session);
        if (this.failures > 1) logger.info(`connected to ${server.host}`);
        if (this.closed.signal.aborted) throw new CallError("canceled", "the worker has stopped");
        this.current = session;
        return session;
      } catch (error) {
        session.destroy();
        if (error instanceof CallError && finalCodes.has(error.code)) throw error;
        this.failures += 1;
        this.serverIndex += 1;
        if (this.failures === 1) {
          const { message } = error as Error;
          logger.warn(`${server.host}: ${message}${otherScheme(server, message)}; trying again`);
        }
      } finally {
        this.opening = undefined;
      }
    }
  }
}

/** Throws a TypeError of one sentence. */
function parseServers(addresses: readonly string[]): readonly URL[] {
  if (addresses.length === 0)
    throw new TypeError(`A worker needs the address of a server. ${example}`);
  return addresses.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol === "http:" || url?.protocol === "https:") return url;
    const shown = JSON.stringify(text) ?? "undefined";
    throw new TypeError(`${shown} is not the address of a server. ${example}`);
  });
}

const example = "An address begins with http:// or https://, such as http://localhost:8080.";
