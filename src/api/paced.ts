/**
 * Large answers, handed out as they are taken. The server would otherwise keep a copy of each for as
 * long as its reader likes; so it keeps what is left, and only while there is room and time.
 */
import { limits } from "../limits.ts";
import type { Backlog, Holding } from "./backlog.ts";

const pieceBytes = 64 * 1024;
const encoder = new TextEncoder();
const nothing = new Uint8Array();

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

export function paced(body: string | Uint8Array<ArrayBuffer>, answers: Backlog): Body {
  if (body.length < limits.pacedAnswerBytesMin) return body;
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  return new PacedAnswer(bytes, answers).stream;
}

/**
 * The same for an answer that is made piece by piece: a piece is asked for when the one before has
 * been taken. `onFault` hears what ended the pieces early; the reader sees a body that is cut off.
 */
export async function pacedPieces(
  pieces: AsyncIterable<string>,
  answers: Backlog,
  onFault: (error: unknown) => void,
): Promise<Body> {
  const more = pieces[Symbol.asyncIterator]();
  let text = "";
  while (text.length < limits.pacedAnswerBytesMin) {
    const { done, value } = await more.next();
    if (done) return text;
    text += value;
  }
  return new PacedAnswer(encoder.encode(text), answers, { more, onFault }).stream;
}

interface Source {
  readonly more: AsyncIterator<string>;
  readonly onFault: (error: unknown) => void;
}

class PacedAnswer {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #holding: Holding;
  readonly #source: Source | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #rest: Uint8Array;
  #isOver = false;

  constructor(first: Uint8Array, answers: Backlog, source?: Source) {
    this.#rest = first;
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
    this.#holding = answers.open(() => {
      this.#fail(new Error("The answer was not taken in time."));
    });
    this.#holding.set(first.length);
  }

  async #pull(): Promise<void> {
    // A piece that is there at once makes Bun's HTTP/2 server miss that a full socket has room
    // again: it would go on with a tick of 100 ms for each piece.
    await nextTurn();
    try {
      while (this.#rest.length === 0 && !this.#isOver) await this.#fill();
    } catch (error) {
      this.#fail(error);
      this.#source?.onFault(error);
    }
    if (this.#isOver) return;
    // A copy, as a view would keep the whole answer for as long as the piece is on its way.
    this.#controller.enqueue(this.#rest.slice(0, pieceBytes));
    this.#rest = this.#rest.subarray(pieceBytes);
    this.#holding.set(this.#rest.length);
    if (this.#rest.length === 0 && this.#source === undefined) this.#close();
  }

  async #fill(): Promise<void> {
    const next = await this.#source!.more.next();
    if (this.#isOver) return;
    if (next.done) return this.#close();
    this.#rest = encoder.encode(next.value);
    this.#holding.set(this.#rest.length);
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
    this.#rest = nothing;
    this.#holding.close();
    this.#source?.more.return?.().catch(() => {});
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
