/**
 * Large answers, handed out as they are taken. The server would otherwise keep a copy of each until
 * its reader has it; so it keeps what is left, and only within bounds of memory and time.
 */
import { limits } from "../base/limits.ts";
import type { Backlog, BacklogEntry } from "./backlog.ts";

const pieceBytes = 64 * 1024;
/** A chunk of no more than this is sent as it is. */
const wholeChunkBytesMax = 4 * pieceBytes;
const encoder = new TextEncoder();

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

/** Chunks are sent in their order, as one body. */
export function paced(
  body: string | Uint8Array<ArrayBuffer> | readonly Uint8Array[],
  answers: Backlog,
): Body {
  if (typeof body === "string") {
    if (body.length < limits.pacedResponseBytesMin) return body;
    return new PacedAnswer([encoder.encode(body)], answers).stream;
  }
  const chunks = body instanceof Uint8Array ? [body] : body;
  if (lengthOf(chunks) >= limits.pacedResponseBytesMin)
    return new PacedAnswer(chunks, answers).stream;
  return body instanceof Uint8Array ? body : Buffer.concat(body);
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/**
 * The same for an answer that is made piece by piece: a piece is requested when the one before has
 * been taken. `onFault` gets what ended the pieces early; the reader sees a body that is cut off.
 */
export async function pacedPieces(
  pieces: AsyncIterable<string>,
  answers: Backlog,
  onFault: (error: unknown) => void,
): Promise<Body> {
  const more = pieces[Symbol.asyncIterator]();
  let text = "";
  while (text.length < limits.pacedResponseBytesMin) {
    const { done, value } = await more.next();
    if (done) return text;
    text += value;
  }
  return new PacedAnswer([encoder.encode(text)], answers, { more, onFault }).stream;
}

interface Source {
  readonly more: AsyncIterator<string>;
  readonly onFault: (error: unknown) => void;
}

class PacedAnswer {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #entry: BacklogEntry;
  readonly #source: Source | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** The next chunk last. */
  #chunks: Uint8Array[];
  #bytes: number;
  #isOver = false;

  constructor(chunks: readonly Uint8Array[], answers: Backlog, source?: Source) {
    this.#chunks = chunks.toReversed();
    this.#bytes = lengthOf(chunks);
    this.#source = source;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#end(),
      },
      { highWaterMark: 0 },
    );
    this.#entry = answers.open(() => {
      this.#fail(new Error("The client did not read the response in time."));
    });
    this.#entry.set(this.#bytes);
  }

  async #pull(): Promise<void> {
    // A piece that is there at once makes Bun's HTTP/2 server miss that a full socket has room
    // again: it would go on with a tick of 100 ms for each piece.
    await nextTurn();
    try {
      while (this.#bytes === 0 && !this.#isOver) await this.#fill();
    } catch (error) {
      this.#fail(error);
      this.#source?.onFault(error);
    }
    if (this.#isOver) return;
    for (let sent = 0; sent < pieceBytes && this.#bytes > 0; ) {
      const piece = this.#nextPiece();
      sent += piece.length;
      this.#bytes -= piece.length;
      if (piece.length > 0) this.#controller.enqueue(piece);
    }
    this.#entry.set(this.#bytes);
    if (this.#bytes === 0 && this.#source === undefined) this.#close();
  }

  #nextPiece(): Uint8Array {
    const chunk = this.#chunks.pop()!;
    if (chunk.length <= wholeChunkBytesMax && chunk.length === chunk.buffer.byteLength)
      return chunk;
    // A copy, as a view would keep the whole chunk for as long as the piece is on its way.
    if (chunk.length > pieceBytes) this.#chunks.push(chunk.subarray(pieceBytes));
    return chunk.slice(0, pieceBytes);
  }

  async #fill(): Promise<void> {
    const next = await this.#source!.more.next();
    if (this.#isOver) return;
    if (next.done) return this.#close();
    this.#chunks = [encoder.encode(next.value)];
    this.#bytes = lengthOf(this.#chunks);
    this.#entry.set(this.#bytes);
  }

  #close(): void {
    this.#end();
    this.#controller.close();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    this.#controller.error(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#entry.close();
    this.#source?.more.return?.().catch(() => {});
  }
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
