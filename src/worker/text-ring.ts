/**
 * Texts from one thread to another through shared memory. The reader looks when it likes: unlike a
 * message, a text wakes nobody, which for short tasks costs more than the tasks themselves.
 */

/** Positions of the writer and of the reader, in bytes from the start of the texts. */
const [writerAt, readerAt] = [0, 1];
const headBytes = 8;
const lengthBytes = 4;
/** In place of a length: the next text is at the start. */
const wrap = -1;

export class TextRing {
  readonly memory: SharedArrayBuffer;
  private readonly positions: Int32Array;
  private readonly texts: Buffer;

  /** One side makes it with a size in bytes, the other one with the memory of the first. */
  constructor(sizeOrMemory: number | SharedArrayBuffer) {
    this.memory =
      typeof sizeOrMemory === "number"
        ? new SharedArrayBuffer(headBytes + sizeOrMemory)
        : sizeOrMemory;
    this.positions = new Int32Array(this.memory, 0, 2);
    this.texts = Buffer.from(this.memory, headBytes);
  }

  /** False when there is no room for it now. */
  write(text: string): boolean {
    const { positions, texts } = this;
    const writer = Atomics.load(positions, writerAt);
    const reader = Atomics.load(positions, readerAt);
    const bytes = lengthBytes + Buffer.byteLength(text);
    const tail = texts.length - writer;
    // A length after the text must fit too, be it that of the wrap; and full is not empty.
    const wraps = writer >= reader && bytes + lengthBytes > tail;
    const end = (wraps ? 0 : writer) + bytes;
    const limit = writer >= reader && !wraps ? texts.length - lengthBytes + 1 : reader;
    if (end >= limit) return false;
    if (wraps) texts.writeInt32LE(wrap, writer);
    const at = end - bytes;
    texts.writeInt32LE(bytes - lengthBytes, at);
    texts.write(text, at + lengthBytes);
    Atomics.store(positions, writerAt, end);
    return true;
  }

  /** All that was written since the last call. */
  read(): string[] {
    const { positions, texts } = this;
    const writer = Atomics.load(positions, writerAt);
    let reader = Atomics.load(positions, readerAt);
    const read: string[] = [];
    while (reader !== writer) {
      const length = texts.readInt32LE(reader);
      if (length === wrap) {
        reader = 0;
        continue;
      }
      const start = reader + lengthBytes;
      reader = start + length;
      read.push(texts.toString("utf8", start, reader));
    }
    Atomics.store(positions, readerAt, reader);
    return read;
  }
}
