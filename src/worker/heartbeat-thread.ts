/**
 * The thread that sends heartbeats while a handler keeps the main thread busy: a heartbeat loop on a
 * connection of its own. It looks for itself what is held; messages bring what cannot wait. It dies
 * with the process.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StopReason } from "./errors.ts";
import { HeartbeatLoop, type LeaseChange } from "./heartbeat-loop.ts";
import { Link, quietLogger } from "./link.ts";
import { TextRing } from "./text-ring.ts";
import type { Credentials, TransportKind } from "./transport.ts";

export interface ThreadData {
  readonly servers: readonly string[];
  readonly transport: TransportKind;
  readonly credentials: Credentials;
  readonly workerId: string;
  /** Of the ring with changes of leases. */
  readonly news: SharedArrayBuffer;
}

export interface FromThread {
  readonly token: string;
  readonly reason: StopReason;
}

/** Far less than the third of a second after which the first heartbeat may be due. */
const lookMs = 50;

function start(data: ThreadData): void {
  const port = parentPort!;
  const { servers, transport, credentials, workerId } = data;
  // The main thread's own link says what is wrong with the servers.
  const link = new Link({ servers, transport, credentials, logger: quietLogger });
  const loop = new HeartbeatLoop(link, workerId, (token, reason) =>
    port.postMessage({ token, reason } satisfies FromThread),
  );
  const news = new TextRing(data.news);
  const apply = (text: string) => loop.apply(JSON.parse(text) as LeaseChange);
  const look = () => news.read().forEach(apply);
  setInterval(look, lookMs);
  port.on("message", (text: string) => {
    look();
    apply(text);
  });
  void loop.run();
}

start(workerData as ThreadData);
