/**
 * HTTP/1.1 to one server, for networks that know no HTTP/2: one kept-alive connection for each call
 * under way. `fetch` on Bun, where `node:http` costs a worker 18 % more CPU time per task (measured as in
 * transport.ts), and `node:http` on Node.js, whose `fetch` takes no certificates.
 */

import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { defined } from "../base/defined.ts";
import {
  CallError,
  type Connection,
  type Credentials,
  type HttpAnswer,
  type Post,
  requestHeaders,
} from "./transport.ts";

export function openHttp1(server: URL, credentials: Credentials): Connection {
  const destroyed = new AbortController();
  const open = "bun" in process.versions ? fetchPost : nodePost;
  const post = open(server, credentials);
  return {
    async post(request) {
      const { timeoutMs, abort } = request;
      const ended = new AbortController();
      const end = (): void => ended.abort();
      const timer = setTimeout(end, timeoutMs);
      abort?.addEventListener("abort", end, { once: true });
      destroyed.signal.addEventListener("abort", end, { once: true });
      if (abort?.aborted === true || destroyed.signal.aborted) end();
      try {
        return await post(request, ended.signal);
      } catch (error) {
        if (abort?.aborted === true) throw new CallError("canceled", "given up by the worker");
        if (ended.signal.aborted && !destroyed.signal.aborted) {
          throw new CallError("deadline_exceeded", `no answer in ${timeoutMs} ms`, true);
        }
        throw new CallError("unavailable", (error as Error).message, true);
      } finally {
        clearTimeout(timer);
        abort?.removeEventListener("abort", end);
        destroyed.signal.removeEventListener("abort", end);
      }
    },
    // Idle connections close by themselves.
    retire: () => {},
    destroy: () => destroyed.abort(),
  };
}

type AbortablePost = (request: Post, abort: AbortSignal) => Promise<HttpAnswer>;

function fetchPost(server: URL, credentials: Credentials): AbortablePost {
  const headers = requestHeaders(credentials);
  const { tls } = credentials;
  const base = server.href.replace(/\/$/, "");
  return async ({ path, body }, signal) => {
    const response = await fetch(base + path, {
      method: "POST",
      headers,
      ...defined({ tls }),
      body,
      signal,
      redirect: "manual",
      // A poll is parked for longer than the default idle time allows.
      timeout: false,
    } as RequestInit);
    const date = response.headers.get("date") ?? undefined;
    return { status: response.status, date, body: new Uint8Array(await response.arrayBuffer()) };
  };
}

function nodePost(server: URL, credentials: Credentials): AbortablePost {
  const headers = requestHeaders(credentials);
  const secure = server.protocol === "https:";
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, ...credentials.tls })
    : new HttpAgent({ keepAlive: true });
  const send = secure ? httpsRequest : httpRequest;
  return ({ path, body }, signal) =>
    new Promise((resolve, reject) => {
      const request = send({
        hostname: server.hostname.replace(/^\[|\]$/g, ""),
        port: server.port,
        method: "POST",
        path: server.pathname.replace(/\/$/, "") + path,
        agent,
        signal,
        headers: { ...headers, "content-length": body.byteLength },
      });
      request.on("error", reject);
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("error", reject);
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          if (!response.complete) return reject(new Error("the connection was cut"));
          const { statusCode: status = 0, headers } = response;
          resolve({ status, date: headers.date, body: Buffer.concat(chunks) });
        });
      });
      request.end(body);
    });
}
