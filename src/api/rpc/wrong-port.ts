/**
 * Answers to callers that have taken one port for the other: gRPC at the HTTP port, anything else
 * at the gRPC port. Each answer names the right port in a form that its caller shows.
 */
import type { Http2Server } from "node:http2";
import type { Socket } from "node:net";

interface WrongPort {
  readonly code: "unimplemented";
  readonly message: string;
}

export function needsHttpPort(httpPort: number): WrongPort {
  const message =
    "This port serves only gRPC. REST, the web page, and workers over Connect and gRPC-Web are " +
    `served on port ${httpPort}.`;
  return { code: "unimplemented", message };
}

const needsNoTls: WrongPort = {
  code: "unimplemented",
  message: "This port serves gRPC without TLS.",
};

/** gRPC itself, and not gRPC-Web. */
export function isNativeGrpc(contentType: string): boolean {
  return /^application\/grpc(?:[+;]|$)/i.test(contentType);
}

const grpcUnimplemented = "12";

/** An answer without a body carries its trailers as headers, which the HTTP server can send. */
export function needsGrpcPort(grpcPort: number): Response {
  const message = `This port does not serve gRPC. Use port ${grpcPort}.`;
  return new Response(null, {
    headers: {
      "content-type": "application/grpc",
      "grpc-status": grpcUnimplemented,
      "grpc-message": message,
    },
  });
}

const http1 = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) /;
/** What TLS begins with: a record of the type handshake, of any version. */
const tls = "\x16\x03";
/** Of a method of HTTP/1.1 and the space after it. */
const lookedAtBytes = 8;

/** A whole answer of HTTP/1.1, which shows a client of TLS at least that this is not TLS. */
function http1Answer(status: string, said: WrongPort): string {
  const body = `${JSON.stringify(said)}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

interface OtherProtocols {
  readonly httpPort: number;
  /** A client begins with TLS, which this port does without. */
  readonly onTls: (address: string | undefined) => void;
}

/**
 * A server of HTTP/2 without TLS greets at once, which clients of other protocols show as garbage.
 * So it gets a connection only when its first bytes are there, and are not those of HTTP/1.1 or
 * TLS.
 */
export function answerOthers(server: Http2Server, { httpPort, onTls }: OtherProtocols): void {
  const begin = server.listeners("connection") as ((socket: Socket) => void)[];
  const needsHttp = http1Answer("505 HTTP Version Not Supported", needsHttpPort(httpPort));
  const withoutTls = http1Answer("400 Bad Request", needsNoTls);

  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const onError = () => socket.destroy();
    socket.on("error", onError);
    socket.once("data", (first: Buffer) => {
      const start = first.toString("latin1", 0, lookedAtBytes);
      if (http1.test(start)) {
        socket.end(needsHttp);
        return;
      }
      if (start.startsWith(tls)) {
        onTls(socket.remoteAddress);
        socket.end(withoutTls);
        return;
      }
      socket.off("error", onError);
      socket.pause();
      socket.unshift(first);
      for (const listener of begin) listener.call(server, socket);
      socket.resume();
    });
  });
}
