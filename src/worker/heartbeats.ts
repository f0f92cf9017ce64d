/**
 * Where the worker says which tasks it holds. The heartbeats themselves are sent by a thread; if that
 * cannot run here, by the main thread, which says once what is lost thereby.
 */
import { Worker as Thread } from "node:worker_threads";
import { HeartbeatLoop, type Lease, type OnStop } from "./heartbeat-loop.ts";
import type { FromThread, ThreadData, ToThread } from "./heartbeat-thread.ts";
import { Link, type Logger, quietLogger } from "./link.ts";

export interface HeartbeatsOptions extends ThreadData {
  readonly logger: Logger;
  readonly onStop: OnStop;
  /** Where the thread's code is; by default beside this file. */
  readonly threadUrl?: URL;
}

/** Beside this file, in the sources as in what is built from them. */
const ownThreadUrl = import.meta.url.endsWith(".ts")
  ? new URL("./heartbeat-thread.ts", import.meta.url)
  : new URL("./heartbeat-thread.js", import.meta.url);

export class Heartbeats {
  private readonly options: HeartbeatsOptions;
  private readonly leases = new Map<string, Lease>();
  private thread: Thread | undefined;
  private loop: HeartbeatLoop | undefined;
  private link: Link | undefined;
  private stopped = false;

  constructor(options: HeartbeatsOptions) {
    this.options = options;
  }

  start(): void {
    const { servers, transport, workerId, threadUrl = ownThreadUrl } = this.options;
    const workerData: ThreadData = { servers, transport, workerId };
    try {
      this.thread = new Thread(threadUrl, { workerData });
    } catch (error) {
      this.fallBack(error);
      return;
    }
    this.thread.on("message", ({ token, reason }: FromThread) => this.stopTask(token, reason));
    this.thread.on("error", (error) => this.fallBack(error));
    this.thread.on("exit", (code) => this.fallBack(new Error(`it ended with code ${code}`)));
  }

  hold(leases: readonly Lease[]): void {
    for (const lease of leases) this.leases.set(lease.token, lease);
    this.tell({ type: "hold", leases });
  }

  drop(tokens: readonly string[]): void {
    for (const token of tokens) this.leases.delete(token);
    this.tell({ type: "drop", tokens });
  }

  beatNow(token: string, progressJson: string | undefined): void {
    if (this.leases.has(token)) this.tell({ type: "beat", token, progressJson });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.loop?.stop();
    this.link?.close();
    await this.thread?.terminate();
  }

  private tell(message: ToThread): void {
    // As text: cloning a list of objects took a quarter of a busy worker's time.
    if (this.loop === undefined) this.thread?.postMessage(JSON.stringify(message));
    else if (message.type === "hold") this.loop.hold(message.leases);
    else if (message.type === "drop") this.loop.drop(message.tokens);
    else this.loop.beatNow(message.token, message.progressJson);
  }

  private stopTask: OnStop = (token, reason) => {
    if (this.leases.delete(token)) this.options.onStop(token, reason);
  };

  private fallBack(error: unknown): void {
    if (this.stopped || this.loop !== undefined) return;
    const { servers, transport, workerId, logger } = this.options;
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(
      `The thread for heartbeats does not run (${reason}). They are sent from the main thread: ` +
        "a handler that blocks it for longer than its heartbeat interval loses its task.",
    );
    this.link = new Link({ servers, transport, logger: quietLogger });
    this.loop = new HeartbeatLoop(this.link, workerId, this.stopTask);
    this.loop.hold([...this.leases.values()]);
    void this.loop.run();
  }
}
