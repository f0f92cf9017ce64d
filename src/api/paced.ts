/**
 * Large answers, handed out as they are taken. The server would otherwise keep a copy of each for as
 * long as its reader likes; so it keeps what is left, and only while there is room and time.
 */
import { limits } from "../limits.ts";
import type { Backlog } from "./backlog.ts";

const pieceBytes = 64 * 1024;
const encoder = new TextEncoder();
const nothing = new Uint8Array();

export function paced(
  body: string | Uint8Array<ArrayBuffer>,
  answers: Backlog,
): string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (body.length < limits.pacedAnswerBytesMin) return body;
  let rest: Uint8Array = typeof body === "string" ? encoder.encode(body) : body;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const holding = answers.open(() => {
    rest = nothing;
    controller.error(new Error("The answer was not taken in time."));
  });
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      async pull() {
        // A piece that is there at once makes Bun's HTTP/2 server miss that a full socket has room
        // again: it would go on with a tick of 100 ms for each piece.
        await nextTurn();
        if (rest.length === 0) return;
        // A copy, as a view would keep the whole answer for as long as the piece is on its way.
        controller.enqueue(rest.slice(0, pieceBytes));
        rest = rest.subarray(pieceBytes);
        holding.set(rest.length);
        if (rest.length > 0) return;
        holding.close();
        controller.close();
      },
      cancel() {
        rest = nothing;
        holding.close();
      },
    },
    { highWaterMark: 0 },
  );
  holding.set(rest.length);
  return stream;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
