/**
 * HTTP/2 to one server: a single connection that carries all calls side by side, also parked polls.
 * Pings find a connection that hangs, so that its calls fail instead of waiting for ever.
 */
import { type ClientHttp2Session, connect, constants } from "node:http2";
import {
  CallError,
  type Connection,
  type Credentials,
  type HttpAnswer,
  type Post,
  requestHeaders,
} from "./transport.ts";

interface Pings {
  readonly everyMs: number;
  readonly answeredWithinMs: number;
}

const usualPings: Pings = { everyMs: 10_000, answeredWithinMs: 5_000 };
/**
 * What the server may send before an acknowledgement: one largest answer, and four of them at once.
 */
const streamWindowBytes = 4 * 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
/**
 * Bun refuses new calls while more than this waits to be sent; the default of 10 MB is one call.
 */
const unsentMegabytesMax = 1_024;

export function openHttp2(server: URL, credentials: Credentials, pings = usualPings): Connection {
  const headers = requestHeaders(credentials);
  const session = connect(server.origin, {
    ...credentials.tls,
    maxSessionMemory: unsentMegabytesMax,
    settings: { enablePush: false, initialWindowSize: streamWindowBytes },
  });
  let fault: Error | undefined;
  let ended = false;
  const ping = setInterval(() => pingOnce(session, pings.answeredWithinMs), pings.everyMs);
  session.on("connect", () => session.setLocalWindowSize(connectionWindowBytes));
  session.on("error", (error: Error) => {
    fault = error;
  });
  let leaving = false;
  session.on("goaway", () => {
    leaving = true;
  });
  session.on("close", () => {
    ended = true;
    clearInterval(ping);
  });
  const lost = (message: string): CallError => {
    // The calls that the server had accepted before still get their responses: retire, do not cut.
    if (leaving && !ended) return new CallError("unavailable", "the server is leaving");
    return new CallError("unavailable", fault?.message ?? message, true);
  };
  return {
    post(request) {
      if (leaving || ended || session.closed || session.destroyed) {
        return Promise.reject(lost("the connection has ended"));
      }
      return postOnce({ session, server, headers, lost }, request);
    },
    retire: () => session.close(),
    destroy: () => session.destroy(),
  };
}

function pingOnce(session: ClientHttp2Session, answeredWithinMs: number): void {
  if (session.closed || session.destroyed || session.connecting) return;
  const lost = setTimeout(
    () => session.destroy(new Error("the server does not answer pings")),
    answeredWithinMs,
  );
  session.ping(() => clearTimeout(lost));
}

interface Open {
  readonly session: ClientHttp2Session;
  readonly server: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly lost: (message: string) => CallError;
}

function postOnce(
  { session, server, headers, lost }: Open,
  { path, body, timeoutMs, abort }: Post,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ...headers,
      ":method": "POST",
      ":path": server.pathname.replace(/\/$/, "") + path,
      "content-length": body.byteLength,
    });
    const chunks: Buffer[] = [];
    let status = 0;
    let date: string | undefined;
    let lengthBytes: number | undefined;
    let failure: CallError | undefined;

    const giveUp = (error: CallError): void => {
      failure ??= error;
      stream.close(constants.NGHTTP2_CANCEL);
    };
    const timer = setTimeout(
      () => giveUp(new CallError("deadline_exceeded", `no answer in ${timeoutMs} ms`, true)),
      timeoutMs,
    );
    const onAbort = (): void => giveUp(new CallError("canceled", "given up by the worker"));
    abort?.addEventListener("abort", onAbort, { once: true });
    if (abort?.aborted === true) onAbort();

    const settle = (): void => {
      clearTimeout(timer);
      abort?.removeEventListener("abort", onAbort);
    };
    const complete = (): boolean => {
      const received = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
      // A stream that was cut also "ends": only the whole length, or a clean close, is an answer.
      if (failure !== undefined || status === 0) return false;
      return lengthBytes === undefined
        ? stream.closed && stream.rstCode === 0
        : received === lengthBytes;
    };
    const answer = (): void => {
      settle();
      resolve({ status, date, body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) });
    };
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
      date = headers.date;
      const length = headers["content-length"];
      if (length !== undefined) lengthBytes = Number(length);
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      if (complete()) answer();
    });
    stream.on("error", (error: Error) => {
      failure ??= lost(error.message);
    });
    stream.on("close", () => {
      if (complete()) return answer();
      settle();
      reject(failure ?? lost("the connection was cut"));
    });
    stream.end(body);
  });
}
