/**
 * The connections of the gRPC server. Those that say nothing, or make no call for long, are ended,
 * as nothing below does it.
 */
import type { Http2SecureServer, Http2Server, Http2Session, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";

export type AnyServer = Http2Server | Http2SecureServer;

const lookMs = 5_000;

interface Options {
  readonly clock: Clock;
  readonly log?: Logger | undefined;
  /** With TLS: a peer began with something else. */
  readonly onWithoutTls: (address: string | undefined) => void;
}

/** How plain HTTP/2, and plain HTTP/1.1, appear to a server that reads them as TLS. */
const withoutTls: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_HTTP_REQUEST",
]);

interface Session {
  calls: number;
  /** Since when it has had no stream. */
  idleMs: number;
  /** Whether the peer has said that it speaks HTTP/2. */
  greeted: boolean;
}

/** A connection without a session: its peer has sent nothing, or the TLS handshake is not over. */
interface Ungreeted {
  readonly socket: Socket;
  readonly openedMs: number;
}

export class GrpcConnections {
  readonly #clock: Clock;
  readonly #log: Logger | undefined;
  /** By the address and port of the peer, as with TLS a session has a separate socket. */
  readonly #ungreeted = new Map<string, Ungreeted>();
  readonly #sessions = new Map<Http2Session, Session>();
  #stopLooking: () => void = () => {};

  constructor(server: AnyServer, options: Options) {
    this.#clock = options.clock;
    this.#log = options.log;
    server.on("connection", (socket: Socket) => this.#opened(socket));
    server.on("session", (session) => this.#began(session));
    server.on("sessionError", (error: Error) => this.#failed(error));
    server.on("tlsClientError", (error: Error & { code?: string }, { remoteAddress }: Socket) => {
      this.#failed(error);
      if (withoutTls.has(error.code ?? "")) options.onWithoutTls(remoteAddress);
    });
    server.once("listening", () => this.#look());
  }

  /** A call begins; returns what to call when it has ended. */
  call(of: Http2Session | undefined): () => void {
    const session = of && this.#sessions.get(of);
    if (session === undefined) return () => {};
    session.calls += 1;
    return () => {
      session.calls -= 1;
      session.idleMs = this.#clock.now();
    };
  }

  /** Makes peers open no more streams, and waits for the open ones. */
  async end(): Promise<void> {
    this.#stopLooking();
    await Promise.all([...this.#sessions.keys()].map(endSession));
    for (const { socket } of this.#ungreeted.values()) socket.destroy();
  }

  destroy(): void {
    this.#stopLooking();
    for (const session of this.#sessions.keys()) session.destroy();
    for (const { socket } of this.#ungreeted.values()) socket.destroy();
  }

  #opened(socket: Socket): void {
    const peer = peerOf(socket);
    this.#ungreeted.set(peer, { socket, openedMs: this.#clock.now() });
    socket.once("close", () => this.#ungreeted.delete(peer));
  }

  #began(session: ServerHttp2Session): void {
    const state: Session = { calls: 0, idleMs: this.#clock.now(), greeted: false };
    this.#sessions.set(session, state);
    if (this.#ungreeted.size > 0 && session.socket) this.#ungreeted.delete(peerOf(session.socket));
    session.once("close", () => this.#sessions.delete(session));
    // A connection that breaks is everyday business of its peer's; it must not end the process.
    session.on("error", (error: Error) => this.#failed(error));
    session.once("remoteSettings", () => {
      state.greeted = true;
    });
  }

  #failed(error: Error): void {
    this.#log?.debug("a gRPC connection failed", { error });
  }

  #look(): void {
    this.#stopLooking = this.#clock.after(lookMs, () => {
      this.#endSilent(this.#clock.now() - limits.grpcGreetingMs);
      this.#endIdle(this.#clock.now() - limits.grpcIdleMs);
      this.#look();
    });
  }

  #endSilent(beforeMs: number): void {
    // They are in the order in which they were opened.
    for (const { socket, openedMs } of this.#ungreeted.values()) {
      if (openedMs > beforeMs) break;
      socket.destroy();
    }
    for (const [session, { greeted, idleMs }] of this.#sessions) {
      if (!greeted && idleMs <= beforeMs) session.destroy();
    }
  }

  #endIdle(beforeMs: number): void {
    for (const [session, { calls, idleMs }] of this.#sessions) {
      if (calls > 0 || idleMs > beforeMs) continue;
      // It was warned before, and has not gone.
      if (session.closed) session.destroy();
      else session.close();
    }
  }
}

const peerOf = ({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">) =>
  `${remoteAddress} ${remotePort}`;

function endSession(session: Http2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) return resolve();
    // The event, as Bun does not call back what is given to close().
    session.once("close", resolve);
    session.close();
  });
}
