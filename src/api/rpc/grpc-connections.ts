/**
 * The connections of the gRPC server. Those that say nothing, or make no call for long, are ended, as
 * nothing below does it.
 */
import type { Http2SecureServer, Http2Server, Http2Session, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import type { Logger } from "../../log.ts";

export type AnyServer = Http2Server | Http2SecureServer;

const lookMs = 5_000;

interface Idle {
  calls: number;
  /** Since when there is none. */
  sinceMs: number;
}

export class GrpcConnections {
  readonly #clock: Clock;
  readonly #log: Logger | undefined;
  readonly #sockets = new Map<Socket, { readonly openedMs: number }>();
  /** By the address and port of the peer, as with TLS a session has a socket of its own. */
  readonly #greeted = new Set<string>();
  readonly #sessions = new Map<Http2Session, Idle>();
  #stopLooking: () => void = () => {};

  constructor(
    server: AnyServer,
    options: { readonly clock: Clock; readonly log?: Logger | undefined },
  ) {
    this.#clock = options.clock;
    this.#log = options.log;
    server.on("connection", (socket: Socket) => this.#opened(socket));
    server.on("session", (session) => this.#began(session));
    for (const event of ["sessionError", "tlsClientError"]) {
      server.on(event, (error: Error) => this.#failed(error));
    }
    server.once("listening", () => this.#look());
  }

  /** A call begins; answers what to call when it has ended. */
  call(session: Http2Session | undefined): () => void {
    const idle = session && this.#sessions.get(session);
    if (idle === undefined) return () => {};
    idle.calls += 1;
    return () => {
      idle.calls -= 1;
      idle.sinceMs = this.#clock.now();
    };
  }

  /** Tells peers to open no more streams, and waits for those that are open. */
  async end(): Promise<void> {
    this.#stopLooking();
    await Promise.all([...this.#sessions.keys()].map(endSession));
    // Who has said nothing yet, not even a greeting of TLS, has no session to end.
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  destroy(): void {
    this.#stopLooking();
    for (const session of this.#sessions.keys()) session.destroy();
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #opened(socket: Socket): void {
    this.#sockets.set(socket, { openedMs: this.#clock.now() });
    const peer = peerOf(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#greeted.delete(peer);
    });
  }

  #began(session: ServerHttp2Session): void {
    this.#sessions.set(session, { calls: 0, sinceMs: this.#clock.now() });
    session.once("close", () => this.#sessions.delete(session));
    // A connection that breaks is everyday business of its peer's; it must not end the process.
    session.on("error", (error: Error) => this.#failed(error));
    session.once("remoteSettings", () => {
      if (session.socket !== undefined) this.#greeted.add(peerOf(session.socket));
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
    for (const [socket, { openedMs }] of this.#sockets) {
      // They are in the order in which they were opened.
      if (openedMs > beforeMs) return;
      if (!this.#greeted.has(peerOf(socket))) socket.destroy();
    }
  }

  #endIdle(beforeMs: number): void {
    for (const [session, { calls, sinceMs }] of this.#sessions) {
      if (calls > 0 || sinceMs > beforeMs) continue;
      // It was told before, and has not gone.
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
