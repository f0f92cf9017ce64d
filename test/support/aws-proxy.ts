/**
 * Stands between a client of AWS and a service, and does what the service may do and its imitations
 * do not: it throttles, fails before or after the request was applied, cuts connections, is silent.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ProxiedRequest {
  readonly operation: string;
  readonly headers: IncomingMessage["headers"];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it.
  readonly body: any;
}

export interface Reply {
  readonly status: number;
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What becomes of a request, besides a reply that is given instead of the service's. */
export type Trouble =
  | Reply
  /** Applied; the connection ends without a response. */
  | "cut"
  /** Not applied; the connection ends. */
  | "cut before"
  /** Applied; the response says that the service failed. */
  | "failed after"
  /** Applied; there is never a response, and the connection stays. */
  | "silent";

export interface AwsProxy {
  readonly endpoint: string;
  /** As they came, in order. */
  readonly requests: ProxiedRequest[];
  /** False: they are not kept. */
  keepsRequests: boolean;
  /** Asked for each request, whose body it may change; undefined: it passes. */
  trouble: (request: ProxiedRequest) => Trouble | undefined | Promise<Trouble | undefined>;
  stop(): void;
}

export function refusal(code: string, message = "refused by a test", more: object = {}): Reply {
  const body = { __type: `com.amazonaws.dynamodb.v20120810#${code}`, message, ...more };
  return { status: 400, body };
}

export const failure: Reply = { status: 500, body: { __type: "#InternalServerError" } };

/** `service`: its endpoint, or how it replies. */
export async function startAwsProxy(
  service: string | ((request: ProxiedRequest) => Reply | Promise<Reply>),
): Promise<AwsProxy> {
  const requests: ProxiedRequest[] = [];
  const pass = async (request: ProxiedRequest): Promise<Reply> => {
    if (typeof service !== "string") return await service(request);
    const { "x-amz-target": target = "", "x-amz-date": date = "" } = request.headers;
    const { authorization = "" } = request.headers;
    const headers = {
      authorization,
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": `${target}`,
      "x-amz-date": `${date}`,
    };
    const body = JSON.stringify(request.body);
    const response = await fetch(service, { method: "POST", headers, body });
    return { status: response.status, body: await response.text() };
  };
  async function reply(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const operation = `${message.headers["x-amz-target"]}`.split(".").at(-1)!;
    const request = { operation, headers: message.headers, body: JSON.parse(text || "{}") };
    if (proxy.keepsRequests) requests.push(request);
    const trouble = await proxy.trouble(request);
    if (trouble === "cut before") return void message.socket.destroy();
    const given = typeof trouble === "object" ? trouble : await pass(request);
    if (trouble === "cut") return void message.socket.destroy();
    if (trouble === "silent") return;
    const { status, body, headers } = trouble === "failed after" ? failure : given;
    response.writeHead(status, { "content-type": "application/x-amz-json-1.0", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }
  const server = createServer((message, response) => {
    reply(message, response).catch(() => message.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const proxy: AwsProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    keepsRequests: true,
    trouble: () => undefined,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return proxy;
}
