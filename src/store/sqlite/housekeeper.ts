/**
 * Keeps the write-ahead log short. Only a thread copies it into the file, while commits go on; what
 * they added meanwhile is little, and is copied by the thread while they wait for it, so that the
 * next commit starts the log anew. The event loop goes on in any case.
 *
 * A reader of the file in another process, such as a backup, keeps the log from being started anew.
 * While one does, the log grows beyond its bound, at a bounded speed: commits wait.
 */
import type { Database, Statement } from "bun:sqlite";
import { type Clock, within } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Chore } from "./housekeeper-thread.ts";
import { frameHeaderBytes, headerBytes, type LogLength } from "./log-frames.ts";

/** Parts of the log's bound: from there on it is copied, and from there on the copy is finished. */
const copyFrom = 1 / 8;
const finishFrom = 1 / 2;
/** Flushes between looks at the log. */
const flushesPerLook = 8;
/** Longest wait of commits for anything. */
const waitMsMax = 1_000;
/** Between tries to copy what a reader holds back; a try takes no more than a part of the time. */
const retryMs = 250;
const retryShare = 10;

interface Log {
  readonly log: number;
  readonly checkpointed: number;
}

interface HousekeeperOptions {
  readonly database: Database;
  readonly path: string;
  /** The bound of the log. */
  readonly logBytes: number;
  /** Length of the file that a copy of the log leaves as it is. */
  readonly fileBytes: () => number;
  readonly clock: Clock;
  readonly log: Logger | undefined;
  /** The log was copied: the file has been cut if it has grown meanwhile. */
  readonly onCopied: () => void;
}

export class Housekeeper {
  readonly #options: HousekeeperOptions;
  readonly #pageBytes: number;
  readonly #look: Statement<Log>;
  readonly #waiting: ((problem: string | null) => void)[] = [];
  #thread: Worker | undefined;
  #flushes = 0;
  #copying: Promise<void> | undefined;
  /** What is not copied was added during the last copy: it is little. */
  #isToFinish = false;
  #isClosed = false;
  /** By performance.now(). */
  #copyNotBefore = 0;
  /** Since when the log has been beyond its bound. */
  #overSince: number | undefined;
  /** The last try could not copy all, though nothing was added meanwhile. */
  #isHeldBack = false;
  #hasProblem = false;
  /** As last seen. */
  #logBytes = 0;

  constructor(options: HousekeeperOptions) {
    this.#options = options;
    const { database } = options;
    this.#pageBytes = Number(database.query("PRAGMA page_size").values()[0]?.[0]);
    // A SQLite too old for NOOP takes it for PASSIVE.
    this.#look = database.prepare("PRAGMA wal_checkpoint(NOOP)");
  }

  /** Of the log that is in use; its file may be longer. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** Now. */
  get length(): LogLength {
    const { log: frames } = this.#look.get() as Log;
    const frameBytes = frameHeaderBytes + this.#pageBytes;
    return { frames, bytes: frames === 0 ? 0 : headerBytes + frames * frameBytes };
  }

  /** A reader, or a fault, keeps the log beyond its bound. */
  get isHeldBack(): boolean {
    return this.#isHeldBack && this.#overSince !== undefined;
  }

  /** Called after each transaction; the next one is to wait for what this returns. */
  afterFlush(): Promise<void> | undefined {
    this.#flushes++;
    if (this.#flushes < flushesPerLook && this.#overSince === undefined) return undefined;
    this.#flushes = 0;
    const log = this.#lookAt();
    if (log === undefined) return undefined;
    const { logBytes } = this.#options;
    const left = (log.log - log.checkpointed) * this.#pageBytes;
    const now = performance.now();
    const isOver = this.#overSince !== undefined;
    if (this.#copying === undefined && now >= this.#copyNotBefore) {
      const isToFinish = this.#isToFinish && left > 0 && this.#logBytes > logBytes * finishFrom;
      this.#isToFinish = false;
      if (isToFinish) return this.#copyInPause();
      if (left > (isOver ? 0 : logBytes * copyFrom)) void this.#copyAside();
    }
    if (this.#isHeldBack) return this.#slowDown(now);
    return isOver && this.#copying !== undefined ? this.#wait(this.#copying) : undefined;
  }

  /** Resolves when what can be copied of the log is: the next transaction may start it anew. */
  clearLog(): Promise<void> {
    return this.#wait(this.#copy());
  }

  #wait(work: Promise<void>): Promise<void> {
    return within(waitMsMax, work, this.#options.clock);
  }

  /** Waits for what is under way; the thread's connection is closed before ours. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#thread === undefined) return;
    await this.#ask({ kind: "close" });
    this.#thread?.terminate();
  }

  #lookAt(): Log | undefined {
    let log: Log;
    try {
      log = this.#look.get() as Log;
    } catch (error) {
      this.#note(error instanceof Error ? error.message : String(error));
      return undefined;
    }
    // All of it is copied: the next transaction starts it anew.
    this.#logBytes = log.log === log.checkpointed ? 0 : log.log * this.#pageBytes;
    if (this.#logBytes <= this.#options.logBytes) this.#isWithin();
    else this.#isOver();
    return log;
  }

  #isOver(): void {
    this.#overSince ??= performance.now();
  }

  #isWithin(): void {
    if (this.#overSince === undefined) return;
    this.#overSince = undefined;
    if (this.#isHeldBack) this.#options.log?.warn("the write-ahead log is within its bound again");
    this.#isHeldBack = false;
  }

  #holdBack(): void {
    if (this.#overSince === undefined || this.#isHeldBack) return;
    this.#isHeldBack = true;
    const message =
      "the write-ahead log is beyond its bound, as another process reads the store's file: " +
      "writes are slowed down until it has ended";
    this.#options.log?.warn(message, { bytes: this.#logBytes });
  }

  /** Beyond its bound the log grows so fast and no faster. */
  #slowDown(now: number): Promise<void> | undefined {
    if (this.#overSince === undefined || this.#isClosed) return undefined;
    const allowed = ((now - this.#overSince) / 1_000) * limits.logBytesPerSecond;
    const excess = this.#logBytes - this.#options.logBytes - allowed;
    const ms = Math.min(waitMsMax, (excess / limits.logBytesPerSecond) * 1_000);
    if (ms < 1) return undefined;
    return new Promise((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }

  async #copyAside(): Promise<void> {
    await this.#copy();
    this.#isToFinish = true;
  }

  /** Commits wait for it; when it is done and there is no other reader, the log is copied whole. */
  #copyInPause(): Promise<void> {
    const copying = this.#copy().then(() => {
      const log = this.#lookAt();
      if (log !== undefined && log.checkpointed < log.log) this.#holdBack();
    });
    return this.#wait(copying);
  }

  /** Never rejects. One under way began before this request: another follows it. */
  #copy(): Promise<void> {
    const copying = this.#copyNow().finally(() => {
      if (this.#copying === copying) this.#copying = undefined;
    });
    this.#copying = copying;
    return copying;
  }

  async #copyNow(): Promise<void> {
    const startedAt = performance.now();
    const before = this.#lookAt();
    this.#note(await this.#ask({ kind: "checkpoint", fileBytes: this.#options.fileBytes() }));
    const after = this.#isClosed ? undefined : this.#lookAt();
    if (after === undefined) return;
    this.#options.onCopied();
    const isStuck = after.checkpointed < after.log && after.checkpointed === before?.checkpointed;
    if (!isStuck) return;
    const now = performance.now();
    this.#copyNotBefore = now + Math.max(retryMs, retryShare * (now - startedAt));
    this.#holdBack();
  }

  /** Logged once, and once when it is over. */
  #note(problem: string | null): void {
    if ((problem !== null) === this.#hasProblem) return;
    this.#hasProblem = problem !== null;
    if (problem === null) this.#options.log?.warn("the write-ahead log is copied again");
    else this.#options.log?.warn("the write-ahead log cannot be copied", { reason: problem });
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
    thread.addEventListener("close", () => {
      // The next chore starts another.
      if (this.#thread === thread) this.#thread = undefined;
      for (const resolve of this.#waiting.splice(0)) resolve("its thread has ended");
    });
    void this.#post(thread, { kind: "open", path: this.#options.path });
    return thread;
  }
}
