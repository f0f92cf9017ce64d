/**
 * A way to a server that can be cut at the worst moment: after the server has done what it was
 * asked and before its answer arrives.
 */
import { connect, createServer, type Socket } from "node:net";

export interface CuttingProxy {
  readonly port: number;
  /** The next answer is thrown away, and its connection closed. */
  cutNextAnswer(): void;
  /** From now on each part of a request is this long on its way. */
  delayRequests(ms: number): void;
  /** From now on it leads to another server; its connections are closed. */
  turnTo(port: number): void;
  stop(): void;
}

export async function startCuttingProxy(firstPort: number): Promise<CuttingProxy> {
  let toPort = firstPort;
  let cutting = false;
  let delayMs = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(toPort, "127.0.0.1");
    const end = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", end);
    }
    near.on("data", (data) => {
      if (delayMs === 0) far.write(data);
      else setTimeout(() => far.write(data), delayMs);
    });
    far.on("data", (data) => {
      if (!cutting) return void near.write(data);
      cutting = false;
      end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    cutNextAnswer: () => {
      cutting = true;
    },
    delayRequests(ms) {
      delayMs = ms;
    },
    turnTo(next) {
      toPort = next;
      for (const socket of sockets) socket.destroy();
    },
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
