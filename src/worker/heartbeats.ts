/**
 * Where the worker says which tasks it holds. The heartbeats themselves are sent by a thread; if
 * that cannot run here, by the main thread, which says once what is lost thereby.
 */
import { Worker as Thread } from "node:worker_threads";
import { HeartbeatLoop, type Lease, type LeaseChange, type OnStop } from "./heartbeat-loop.ts";
import type { FromThread, ThreadData } from "./heartbeat-thread.ts";
import { Link, type Logger, quietLogger } from "./link.ts";

interface HeartbeatsOptions extends ThreadData {
  readonly logger: Logger;
  readonly onStop: OnStop;
}

/** Beside this file, in the sources as in what is built from them. */
const threadUrl = import.meta.url.endsWith(".ts")
  ? new URL("./heartbeat-thread.ts", import.meta.url)
  : new URL("./heartbeat-thread.js", import.meta.url);

const dropWithinMs = 500;

export class Heartbeats {
  private readonly options: HeartbeatsOptions;
  private readonly leases = new Map<string, Lease>();
  private thread: Thread | undefined;
  private loop: HeartbeatLoop | undefined;
  private link: Link | undefined;
  private stopped = false;
  private dropped: string[] = [];
  private dropping: ReturnType<typeof setTimeout> | undefined;

  constructor(options: HeartbeatsOptions) {
    this.options = options;
  }

  start(): void {
    const { servers, transport, credentials, workerId } = this.options;
    const workerData: ThreadData = { servers, transport, credentials, workerId };
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

  /** Takes effect at once: the caller's next step may block this thread. */
  add(leases: readonly Lease[]): void {
    for (const lease of leases) this.leases.set(lease.token, lease);
    this.tell({ add: leases });
  }

  /** Goes along with the next message: until then, at worst, a heartbeat is superfluous. */
  drop(tokens: readonly string[]): void {
    for (const token of tokens) {
      this.leases.delete(token);
      this.dropped.push(token);
    }
    this.dropping ??= setTimeout(() => this.tell({}), dropWithinMs);
  }

  /** The server said so with the answer to a poll. */
  cancelled(token: string): void {
    if (!this.leases.has(token)) return;
    this.stopTask(token, "cancelled");
    this.drop([token]);
  }

  beatNow(token: string, progressJson: string | undefined): void {
    if (this.leases.has(token)) this.tell({ beat: { token, progressJson } });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.dropping);
    this.loop?.stop();
    this.link?.close();
    await this.thread?.terminate();
  }

  private tell(news: Omit<LeaseChange, "drop">): void {
    clearTimeout(this.dropping);
    this.dropping = undefined;
    const change: LeaseChange = { ...news, drop: this.dropped.splice(0) };
    if (this.loop !== undefined) {
      this.loop.apply(change);
      return;
    }
    // A message wakes the thread. Against a ring in shared memory that the thread looked at every
    // 50 ms (CPU time of the worker, medians of 7 interleaved pairs, Node.js 20.20.2 and Bun
    // 1.4.5): with a backlog +3 and +1 % for small tasks, -2 and -1 % for those of 10 KB; with 10
    // chains under way, where a worker has time to spare, +6 and +1 %; idle, 0.4 % of a core less
    // on both.
    this.thread?.postMessage(JSON.stringify(change));
  }

  private stopTask: OnStop = (token, reason) => {
    if (this.leases.delete(token)) this.options.onStop(token, reason);
  };

  private fallBack(error: unknown): void {
    if (this.stopped || this.loop !== undefined) return;
    const { servers, transport, credentials, workerId, logger } = this.options;
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(
      `The thread for heartbeats does not run (${reason}). They are sent from the main thread: ` +
        "a handler that blocks it for longer than its heartbeat interval loses its task.",
    );
    this.link = new Link({ servers, transport, credentials, logger: quietLogger });
    this.loop = new HeartbeatLoop(this.link, workerId, this.stopTask);
    this.loop.apply({ add: [...this.leases.values()] });
    void this.loop.run();
  }
}
