/**
 * Bytes that are written one after the other and taken out without a copy: what was taken is never
 * written again, and its chunk goes when all that was taken out of it has gone.
 */

const chunkBytes = 256 * 1024;
/** The bytes of longer text are counted. */
const guessedChars = 8 * 1024;

/** No UTF-16 unit takes more than three bytes of UTF-8. */
export function bytesAtMost(text: string): number {
  return text.length <= guessedChars ? text.length * 3 : Buffer.byteLength(text);
}

export class Bytes {
  chunk = Buffer.allocUnsafe(chunkBytes);
  /** Where the next byte goes. */
  used = 0;
  #begin = 0;

  /** Where that begins which was written since the last time; reserving moves it. */
  get start(): number {
    return this.#begin;
  }

  /** Bytes written since the last time. */
  get length(): number {
    return this.used - this.#begin;
  }

  /** Makes sure that this many bytes more fit in the chunk, which may be another one afterwards. */
  reserve(bytes: number): void {
    if (this.used + bytes <= this.chunk.length) return;
    const written = this.used - this.#begin;
    const larger = Buffer.allocUnsafe(Math.max(chunkBytes, written * 2 + bytes));
    this.chunk.copy(larger, 0, this.#begin, this.used);
    this.chunk = larger;
    this.used = written;
    this.#begin = 0;
  }

  text(text: string): void {
    this.reserve(bytesAtMost(text));
    this.used += this.chunk.write(text, this.used);
  }

  bytes(bytes: Buffer): void {
    this.reserve(bytes.length);
    this.used += bytes.copy(this.chunk, this.used);
  }

  /** What was written since the last time is not wanted. */
  restart(): void {
    this.used = this.#begin;
  }

  /** What was written since the last time. */
  take(): Buffer {
    const taken = this.chunk.subarray(this.#begin, this.used);
    this.#begin = this.used;
    return taken;
  }
}
