/** Reads request bodies within bounds of size and time, whatever a content-length claims. */
import { inBytes } from "../base/amount.ts";
import { OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Backlog } from "./backlog.ts";

/** Body that is read in one piece, and counted as announced. */
const wholeBodyBytesMax = 64 * 1024;

export function tooLarge(bytesMax: number): OrchyError {
  return new OrchyError("TOO_LARGE", `The body is larger than ${inBytes(bytesMax)}.`);
}

export function tooLate(): OrchyError {
  const seconds = limits.requestBodyMs / 1000;
  const message = `The body did not arrive within ${seconds} s, or arrived too slowly.`;
  return new OrchyError("REQUEST_TIMEOUT", message);
}

type Bytes = Uint8Array<ArrayBuffer>;

interface BodyOptions {
  readonly bytesMax: number;
  readonly bodies: Backlog;
}

/** Throws OrchyError: TOO_LARGE, REQUEST_TIMEOUT, or INVALID_ARGUMENT if the body is cut off. */
export async function readBody(request: Request, options: BodyOptions): Promise<Bytes> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > options.bytesMax) throw tooLarge(options.bytesMax);
  // A small body in one piece costs a fraction of a stream, and the server holds the peer to what
  // it announced. Of a large one only what has arrived is counted.
  const isSmall = announced > 0 && announced <= wholeBodyBytesMax;
  if (isSmall) return readWhole(request, announced, options.bodies);
  if (!request.body) return new Uint8Array();
  return readPieces(request.body, options);
}

async function readWhole(request: Request, bytes: number, bodies: Backlog): Promise<Bytes> {
  try {
    return await bodies.keepDuring(bytes, request.bytes() as Promise<Bytes>, tooLate);
  } catch (error) {
    throw error instanceof OrchyError ? error : cutOff();
  }
}

function cutOff(): OrchyError {
  return new OrchyError("INVALID_ARGUMENT", "The body was cut off.");
}

async function readPieces(body: ReadableStream<Bytes>, options: BodyOptions): Promise<Bytes> {
  const reader = body.getReader();
  const late = Promise.withResolvers<never>();
  const entry = options.bodies.open(() => late.reject(tooLate()));
  const parts: Bytes[] = [];
  let bytes = 0;
  // Even of one that sends nothing the age counts.
  entry.set(1);
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) break;
      bytes += value.byteLength;
      if (bytes > options.bytesMax) throw tooLarge(options.bytesMax);
      parts.push(value);
      entry.set(bytes);
    }
  } catch (error) {
    // The rest of the body is of no use, and neither is an error of its sender.
    reader.cancel().catch(() => {});
    if (error instanceof OrchyError) throw error;
    throw cutOff();
  } finally {
    entry.close();
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
}
