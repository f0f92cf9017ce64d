/**
 * The bytes between a server and its script processes: a frame is a list of texts.
 * Layout, in 32-bit little endian: length of what follows, number of texts, length of each text,
 * then the texts as UTF-8. Nothing is escaped, so a payload of megabytes costs one copy.
 */

/** Joins texts to one frame. */
export function encodeFrame(texts: readonly string[]): Uint8Array {
  const headBytes = 8 + 4 * texts.length;
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const frame = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, headBytes));
  frame.writeUInt32LE(frame.length - 4, 0);
  frame.writeUInt32LE(texts.length, 4);
  let at = headBytes;
  texts.forEach((text, index) => {
    frame.writeUInt32LE(lengths[index] ?? 0, 8 + 4 * index);
    at += frame.write(text, at);
  });
  return frame;
}

/** Takes the texts of one body (a frame without its first length) apart. */
function decodeBody(body: Buffer): string[] {
  const count = body.readUInt32LE(0);
  const texts: string[] = [];
  let at = 4 + 4 * count;
  for (let index = 0; index < count; index += 1) {
    const end = at + body.readUInt32LE(4 + 4 * index);
    if (end > body.length) throw new RangeError("a text passes the end of its frame");
    texts.push(body.toString("utf8", at, end));
    at = end;
  }
  return texts;
}

/** Gathers chunks of bytes as they come, and gives each frame once it is whole. */
export class FrameReader {
  readonly #frameBytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#bytes += chunk.byteLength;
  }

  /** The next frame's texts, or undefined when more bytes are needed. Throws on a bad frame. */
  next(): string[] | undefined {
    if (this.#bytes < 4) return undefined;
    const bodyBytes = this.#joined(4).readUInt32LE(0);
    if (bodyBytes > this.#frameBytesMax) throw new RangeError(`a frame of ${bodyBytes} bytes`);
    if (this.#bytes < 4 + bodyBytes) return undefined;
    const joined = this.#joined(4 + bodyBytes);
    const rest = joined.subarray(4 + bodyBytes);
    this.#chunks = rest.length > 0 ? [rest, ...this.#chunks.slice(1)] : this.#chunks.slice(1);
    this.#bytes -= 4 + bodyBytes;
    return decodeBody(joined.subarray(4, 4 + bodyBytes));
  }

  /** The first chunk, with at least this many bytes; large frames are joined only once. */
  #joined(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
