/** The file of `--audit-log`: lines are added to it in the background, in their order. */
import { appendFile } from "node:fs/promises";
import { privateFile } from "../base/files.ts";
import { limits } from "../base/limits.ts";
import { asError, type Logger } from "./log.ts";

export class AuditFile {
  readonly #path: string;
  readonly #log: Logger;
  #lines: string[] = [];
  #chars = 0;
  #leftOut = 0;
  #writing: Promise<void> | undefined;
  #isFailing = false;

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Makes a missing file. Throws an Error of one sentence. */
  static async open(path: string, log: Logger): Promise<AuditFile> {
    await appendFile(path, "", { mode: privateFile }).catch((error: Error) => {
      throw new Error(`--audit-log ${path} cannot be written: ${error.message}.`);
    });
    return new AuditFile(path, log);
  }

  /** Lines that a slow disk holds up are bounded. What is left out is in the log, too. */
  write(line: string): void {
    if (this.#chars + line.length > limits.auditBacklogCharsMax) {
      this.#leftOut += 1;
      return;
    }
    this.#chars += line.length;
    this.#lines.push(`${line}\n`);
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when all that was added is written. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /**
   * The file is opened anew for each batch, so that it may be rotated. A batch that cannot be
   * written is not kept: its lines are in the log, too.
   */
  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const batch = this.#lines;
      const chars = this.#chars;
      this.#lines = [];
      try {
        await appendFile(this.#path, batch.join(""), { mode: privateFile });
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) {
          this.#log.error("audit lines could not be written to their file", {
            path: this.#path,
            error: asError(error),
          });
        }
        this.#isFailing = true;
      }
      this.#chars -= chars;
      this.#reportLeftOut();
    }
  }

  #reportLeftOut(): void {
    if (this.#leftOut === 0) return;
    this.#log.error("audit lines were left out of their file, as it is slow", {
      path: this.#path,
      leftOut: this.#leftOut,
    });
    this.#leftOut = 0;
  }
}
