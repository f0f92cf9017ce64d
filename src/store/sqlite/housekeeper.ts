/**
 * Keeps the write-ahead log short without stopping the event loop: a thread copies the log into
 * the database while commits go on; what they added meanwhile is little, and is copied here, so
 * that the next commit starts the log anew.
 */
import type { Database, Statement } from "bun:sqlite";
import type { Chore } from "./housekeeper-thread.ts";

/** Pages in the log that make a copy worth while. */
const framesToCopy = 2_000;
/** Pages in the log from which on what the thread left is copied here. */
const framesToFinish = 8_000;
/** Pages in the log that are copied here at once, whatever the thread does. */
const framesMax = 16_000;
/** Flushes between looks at the log. */
const flushesPerLook = 8;

interface Log {
  readonly log: number;
  readonly checkpointed: number;
}

export class Housekeeper {
  readonly #path: string;
  readonly #look: Statement<Log>;
  readonly #copy: Statement<Log>;
  readonly #waiting: ((problem: string | null) => void)[] = [];
  #thread: Worker | undefined;
  #flushes = 0;
  #isCopying = false;
  #isClosed = false;

  constructor(database: Database, path: string) {
    this.#path = path;
    // A SQLite that does not know NOOP yet takes it for PASSIVE.
    this.#look = database.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#copy = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  }

  /** Called after each transaction. */
  afterFlush(): void {
    this.#flushes++;
    if (this.#flushes < flushesPerLook) return;
    this.#flushes = 0;
    const { log, checkpointed } = this.#look.get() as Log;
    if (log > framesMax) this.#copy.get();
    else if (!this.#isCopying && log - checkpointed > framesToCopy) void this.#copyAside();
  }

  /** Waits for what is under way; the thread's connection is closed before ours. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#thread === undefined) return;
    await this.#ask({ kind: "close" });
    this.#thread.terminate();
  }

  async #copyAside(): Promise<void> {
    this.#isCopying = true;
    await this.#ask({ kind: "checkpoint" });
    this.#isCopying = false;
    if (this.#isClosed) return;
    const { log } = this.#look.get() as Log;
    if (log > framesToFinish) this.#copy.get();
  }

  #ask(chore: Chore): Promise<string | null> {
    const thread = this.#thread ?? this.#start();
    this.#thread = thread;
    return this.#post(thread, chore);
  }

  /** The thread keeps the process alive only while it is busy. */
  #post(thread: Worker, chore: Chore): Promise<string | null> {
    thread.ref();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      thread.postMessage(chore);
    });
  }

  /** Started when it is first needed: small stores never need it. */
  #start(): Worker {
    const thread = new Worker(new URL("./housekeeper-thread.ts", import.meta.url));
    const answer = (problem: string | null) => {
      this.#waiting.shift()?.(problem);
      if (this.#waiting.length === 0) thread.unref();
    };
    thread.onmessage = (event: MessageEvent<string | null>) => answer(event.data);
    thread.onerror = (event) => answer(event.message);
    void this.#post(thread, { kind: "open", path: this.#path });
    return thread;
  }
}
