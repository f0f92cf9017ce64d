/**
 * The thread that sends heartbeats while a handler keeps the main thread busy: a heartbeat loop on
 * a separate connection. Messages bring the changes of leases. It ends with the process.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StopReason } from "./errors.ts";
import { HeartbeatLoop, type LeaseChange } from "./heartbeat-loop.ts";
import { Link, quietLogger } from "./link.ts";
import type { Credentials, TransportKind } from "./transport.ts";

export interface ThreadData {
  readonly servers: readonly string[];
  readonly transport: TransportKind;
  readonly credentials: Credentials;
  readonly workerId: string;
}

export interface FromThread {
  readonly token: string;
  readonly reason: StopReason;
}

function start(data: ThreadData): void {
  const port = parentPort!;
  const { servers, transport, credentials, workerId } = data;
  // The main thread's own link says what is wrong with the servers.
  const link = new Link({ servers, transport, credentials, logger: quietLogger });
  const loop = new HeartbeatLoop(link, workerId, (token, reason) =>
    port.postMessage({ token, reason } satisfies FromThread),
  );
  port.on("message", (text: string) => loop.apply(JSON.parse(text) as LeaseChange));
  void loop.run();
}

start(workerData as ThreadData);
