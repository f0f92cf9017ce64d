/**
 * What a call to a server needs from the network: post bytes to a path, get bytes back. Two kinds
 * of connection do it (http1.ts, http2.ts); unary Connect calls need no more.
 *
 * What those of `@connectrpc/connect-node` 2.2.0 would cost, as CPU time of a worker per task
 * relative to these (medians of 7 interleaved pairs, backlog of chains of 5 actions at one server,
 * small tasks and tasks of 10 KB, 4 polls, two shared cores; Node.js 20.20.2 and Bun 1.4.5):
 *
 *                                    Node.js       Bun
 *     createConnectTransport 2       1.32  1.27    1.26  1.33
 *     createConnectTransport 1.1     1.18  1.22    1.40  1.44
 *     createNodeHttpClient 1.1       1.13  1.10    1.32  1.21
 *     Http2SessionManager alone      1.09  1.09    1.01  1.03
 *
 * docs/design/decisions/worker-connections.md says what else speaks against them.
 */
import { defined } from "../base/defined.ts";

/** The protocol of the connections to a server. */
export type TransportKind = "http1" | "http2";

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** The server's `Date` header: what its clock says. */
  readonly date: string | undefined;
}

export interface Post {
  readonly path: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly abort?: AbortSignal | undefined;
}

/** Calls to one server over one protocol. */
export interface Connection {
  /** Throws a CallError without a complete answer. */
  post(post: Post): Promise<HttpAnswer>;
  /** Lets calls under way end, and takes no more. */
  retire(): void;
  /** Ends at once; calls under way fail. */
  destroy(): void;
}

/** A call without a good answer. */
export class CallError extends Error {
  override readonly name = "CallError";
  /**
   * A Connect code in snake case; "unavailable" and "deadline_exceeded" come from the network too.
   */
  readonly code: string;
  /** The network failed, so whether the server carried out the call is unknown. */
  readonly broken: boolean;

  constructor(code: string, message: string, broken = false) {
    super(message);
    this.code = code;
    this.broken = broken;
  }
}

/** For `https:` addresses; all of it PEM text. */
export interface TlsOptions {
  /** Who signed the server's certificate, if that is none of the well-known ones. */
  readonly ca?: string;
  /** The worker's own certificate, for servers that require one, and its key. */
  readonly cert?: string;
  readonly key?: string;
}

/** What a worker shows to be let in, and whom it trusts. */
export interface Credentials {
  readonly key?: string | undefined;
  readonly tls?: TlsOptions | undefined;
}

export function requestHeaders({ key }: Credentials): Readonly<Record<string, string>> {
  return {
    "content-type": "application/proto",
    "connect-protocol-version": "1",
    "user-agent": "orchy-worker",
    ...defined({ authorization: key === undefined ? undefined : `Bearer ${key}` }),
  };
}

/** A refusal that no repetition and no other server would change. */
export const finalCodes: ReadonlySet<string> = new Set([
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "unimplemented",
]);
