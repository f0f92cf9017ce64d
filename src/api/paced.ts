/**
 * Large answers, handed out as they are taken. The server would otherwise keep a copy of each for as
 * long as its reader likes; so it keeps what is left, and only while there is room and time.
 */
import { limits } from "../limits.ts";
import type { Backlog } from "./backlog.ts";

const pieceBytes = 64 * 1024;
const encoder = new TextEncoder();

export function paced(
  body: string | Uint8Array<ArrayBuffer>,
  answers: Backlog,
): string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (body.length < limits.pacedAnswerBytesMin) return body;
  let rest: Uint8Array | undefined = typeof body === "string" ? encoder.encode(body) : body;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const holding = answers.open(() => {
    rest = undefined;
    controller.error(new Error("The answer was not taken in time."));
  });
  holding.set(rest.length);
  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        if (rest === undefined) return;
        // A copy, as a view would keep the whole answer for as long as the piece is on its way.
        controller.enqueue(rest.slice(0, pieceBytes));
        rest = rest.subarray(pieceBytes);
        holding.set(rest.length);
        if (rest.length > 0) return;
        holding.close();
        controller.close();
      },
      cancel() {
        rest = undefined;
        holding.close();
      },
    },
    { highWaterMark: 0 },
  );
}
