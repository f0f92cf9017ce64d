/**
 * The thread that sends heartbeats while a handler keeps the main thread busy: a heartbeat loop on a
 * connection of its own, told what is held by messages. It dies with the process.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StopReason } from "./errors.ts";
import { HeartbeatLoop, type Lease } from "./heartbeat-loop.ts";
import { Link, quietLogger } from "./link.ts";
import type { TransportKind } from "./transport.ts";

export interface ThreadData {
  readonly servers: readonly string[];
  readonly transport: TransportKind;
  readonly workerId: string;
}

/** Travels as JSON text. */
export type ToThread =
  | { readonly type: "hold"; readonly leases: readonly Lease[] }
  | { readonly type: "drop"; readonly tokens: readonly string[] }
  | { readonly type: "beat"; readonly token: string; readonly progressJson: string | undefined };

export interface FromThread {
  readonly token: string;
  readonly reason: StopReason;
}

function start(data: ThreadData): void {
  const port = parentPort!;
  const { servers, transport, workerId } = data;
  // The main thread's own link says what is wrong with the servers.
  const link = new Link({ servers, transport, logger: quietLogger });
  const loop = new HeartbeatLoop(link, workerId, (token, reason) =>
    port.postMessage({ token, reason } satisfies FromThread),
  );
  port.on("message", (text: string) => {
    const message = JSON.parse(text) as ToThread;
    if (message.type === "hold") loop.hold(message.leases);
    else if (message.type === "drop") loop.drop(message.tokens);
    else loop.beatNow(message.token, message.progressJson);
  });
  void loop.run();
}

start(workerData as ThreadData);
