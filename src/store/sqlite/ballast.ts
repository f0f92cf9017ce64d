/**
 * A file without meaning beside the store that takes room on its disk. It is deleted when the disk
 * is full, so that a store can still be opened and can still remove executions; and is made again
 * when the disk has room.
 */
import { rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";

const pieceBytes = 1024 * 1024;

export class Ballast {
  readonly #path: string;
  /** On the disk now. */
  bytes: number;
  #making: Promise<void> | undefined;
  #isClosed = false;

  constructor(storePath: string) {
    this.#path = `${storePath}.ballast`;
    this.bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** False when there is none. */
  letGo(): boolean {
    if (this.bytes === 0 || this.#making !== undefined) return false;
    this.bytes = 0;
    rmSync(this.#path, { force: true });
    return true;
  }

  /** Makes it in the background, with at least this many bytes. A full disk is left alone. */
  make(bytes: number): void {
    if (this.#isClosed || this.#making !== undefined || this.bytes >= bytes) return;
    this.#making = this.#write(bytes)
      .catch(() => rmSync(this.#path, { force: true }))
      .finally(() => {
        this.bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
        this.#making = undefined;
      });
  }

  async #write(bytes: number): Promise<void> {
    const file = await open(this.#path, "w", 0o600);
    // Zeros would take no room on a disk that compresses.
    const piece = crypto.getRandomValues(Buffer.alloc(65_536));
    const pieces = Buffer.concat(Array(pieceBytes / piece.length).fill(piece));
    try {
      for (let left = bytes; left > 0 && !this.#isClosed; left -= pieceBytes) {
        await file.write(pieces, 0, Math.min(left, pieceBytes));
      }
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#making;
  }
}
