/** Passes connections on, and counts what a client of HTTP/2 sends: connections and pings. */
import { connect, createServer, type Socket } from "node:net";

export interface Relay {
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Pings of the client, without its answers to pings. */
  readonly pings: number;
  stop(): Promise<void>;
}

const prefaceBytes = 24;
const headerBytes = 9;
const pingType = 6;
const acknowledged = 1;

export async function startRelay(targetPort: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let pings = 0;
  const server = createServer((incoming) => {
    connections += 1;
    const outgoing = connect(targetPort, "127.0.0.1");
    const look = frames((type, flags) => {
      if (type === pingType && (flags & acknowledged) === 0) pings += 1;
    });
    incoming.on("data", look);
    incoming.pipe(outgoing);
    outgoing.pipe(incoming);
    incoming.once("close", () => {
      connections -= 1;
    });
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the relay has no port");
  return {
    port: address.port,
    get connections() {
      return connections;
    },
    get pings() {
      return pings;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tells the type and flags of every frame that begins in the bytes it is given, piece by piece. */
function frames(see: (type: number, flags: number) => void): (bytes: Buffer) => void {
  let toSkip = prefaceBytes;
  let header = Buffer.alloc(0);
  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(toSkip, bytes.length - at);
      toSkip -= skipped;
      at += skipped;
      const part = bytes.subarray(at, at + headerBytes - header.length);
      header = Buffer.concat([header, part]);
      at += part.length;
      if (header.length < headerBytes) return;
      see(header[3]!, header[4]!);
      toSkip = header.readUIntBE(0, 3);
      header = Buffer.alloc(0);
    }
  };
}
