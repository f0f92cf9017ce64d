/**
 * A consistent copy of a file that a server works on, in steps, so that no long transaction keeps the
 * server from starting its log anew. The pages of the file are read while they change; the log
 * names each page that does, as only copies of the log change the file. Those pages are read again
 * until few are left, and the last ones in a short transaction that keeps the file as it is.
 * It runs in a separate process: closing a file ends the locks of its whole process on it.
 */
import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { LogWatch } from "./log-watch.ts";

const bytesPerStep = 4 * 1024 * 1024;
/** The last pages, read while the file is kept as it is: few. */
const pagesAtLast = 4_096;
const roundsMax = 10;
/** Between tries to keep the file as it is, while others write it. */
const tryMs = 5;
const freezeMs = 30_000;

interface Log {
  readonly log: number;
  readonly checkpointed: number;
}

/** False when the log was started anew too often to be followed; `to` is then to be made anew. */
export async function copyInSteps(from: string, to: string): Promise<boolean> {
  // Not read-only: a reader of a write-ahead log must be able to note where it reads.
  const database = new Database(from, { readwrite: true });
  const [source, target] = [openSync(from, "r"), openSync(to, "r+")];
  database.run("PRAGMA busy_timeout = 10000");
  // The first read makes the log if it is missing.
  database.query("SELECT count(*) FROM sqlite_schema").values();
  const watch = new LogWatch(`${from}-wal`);
  try {
    const pageBytes = Number(database.query("PRAGMA page_size").values()[0]?.[0]);
    const pages = new Pages(source, target, pageBytes);
    let changed = new Set<number>();
    if (!watch.begin(changed)) return false;
    for (
      let page = 1;
      pages.copy(page, bytesPerStep / pageBytes);
      page += bytesPerStep / pageBytes
    ) {
      if (!watch.look(changed)) return false;
    }
    for (let round = 0; changed.size > pagesAtLast && round < roundsMax; round++) {
      if (!watch.look(changed)) return false;
      const again = changed;
      changed = new Set();
      if (!watch.begin(changed)) return false;
      for (const page of again) pages.copy(page, 1);
      if (!watch.look(changed)) return false;
    }
    const thaw = await freeze(database, from, watch);
    try {
      if (!watch.look(changed)) return false;
      for (const page of changed) pages.copy(page, 1);
      pages.copy(1, 1);
      pages.cut();
    } finally {
      thaw();
    }
    fsyncSync(target);
    return true;
  } finally {
    watch.close();
    database.close();
    for (const file of [source, target]) closeSync(file);
  }
}

/**
 * Keeps the file as it is: a reader begins at the end of the log, all up to there is copied into the
 * file, and nothing beyond it can be while the reader stays.
 */
async function freeze(database: Database, path: string, watch: LogWatch) {
  const look = database.prepare<Log, []>("PRAGMA wal_checkpoint(NOOP)");
  const copy = database.prepare<Log, []>("PRAGMA wal_checkpoint(PASSIVE)");
  const reader = new Database(path, { readwrite: true });
  const giveUpAt = performance.now() + freezeMs;
  try {
    while (performance.now() < giveUpAt) {
      const salts = watch.salts;
      const before = copy.get() as Log;
      reader.run("BEGIN");
      reader.query("SELECT count(*) FROM sqlite_schema").values();
      const after = look.get() as Log;
      // Nothing was written while the reader began: it is known where it reads.
      if (before.log === after.log && watch.salts === salts) {
        const { checkpointed } = copy.get() as Log;
        if (before.checkpointed === before.log || checkpointed === before.log) {
          return () => reader.close();
        }
      }
      reader.run("ROLLBACK");
      await Bun.sleep(tryMs);
    }
    throw new Error("other readers of the file keep its log from being copied");
  } catch (error) {
    reader.close();
    throw error;
  }
}

/** Copies pages, which are counted from 1, to the same place of another file. */
class Pages {
  readonly #source: number;
  readonly #target: number;
  readonly #pageBytes: number;
  readonly #buffer = Buffer.alloc(bytesPerStep);

  constructor(source: number, target: number, pageBytes: number) {
    this.#source = source;
    this.#target = target;
    this.#pageBytes = pageBytes;
  }

  /** False when the file ends before them. */
  copy(page: number, count: number): boolean {
    const at = (page - 1) * this.#pageBytes;
    const bytes = readSync(this.#source, this.#buffer, 0, count * this.#pageBytes, at);
    for (let done = 0; done < bytes; ) {
      done += writeSync(this.#target, this.#buffer, done, bytes - done, at + done);
    }
    return bytes > 0;
  }

  /** The file may have taken more room than it has pages. */
  cut(): void {
    readSync(this.#target, this.#buffer, 0, 100, 0);
    ftruncateSync(this.#target, this.#buffer.readUInt32BE(28) * this.#pageBytes);
  }
}
