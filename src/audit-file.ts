/** The file of `--audit-log`: lines are added to it in the background, in their order. */
import { appendFile } from "node:fs/promises";
import { asError, type Logger } from "./log.ts";

export class AuditFile {
  readonly #path: string;
  readonly #log: Logger;
  #lines: string[] = [];
  #writing: Promise<void> | undefined;
  #isFailing = false;

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Makes the file if there is none. Throws an Error of one sentence. */
  static async open(path: string, log: Logger): Promise<AuditFile> {
    await appendFile(path, "", { mode: 0o600 }).catch((error: Error) => {
      throw new Error(`--audit-log ${path} cannot be written: ${error.message}.`);
    });
    return new AuditFile(path, log);
  }

  write(line: string): void {
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
   * The file is opened anew for each batch, so that it may be rotated. A batch that cannot be written is
   * not kept: its lines are in the log, too.
   */
  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const batch = this.#lines;
      this.#lines = [];
      try {
        await appendFile(this.#path, batch.join(""), { mode: 0o600 });
        this.#isFailing = false;
      } catch (error) {
        if (this.#isFailing) continue;
        this.#isFailing = true;
        this.#log.error("audit lines could not be written to their file", {
          path: this.#path,
          error: asError(error),
        });
      }
    }
  }
}
